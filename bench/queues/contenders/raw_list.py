"""The least that a queue can be on redis-py: a list, and a second one for what is being worked on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import redis.asyncio

from bench.queues.player import TASKS, Contender, cancel, serve


class RawList(Contender):
    """BLMOVE, work, LREM. No lease, no retry, no delay."""

    async def open(self) -> None:
        self._redis: Any = redis.asyncio.Redis.from_url(
            self.url, max_connections=TASKS + 10, socket_timeout=30
        )

    async def put(self, number: int, delay: float | None = None) -> None:
        if delay is not None:
            raise NotImplementedError
        await self._redis.rpush("list:jobs", number)

    async def put_many(self, numbers: range) -> None:
        pipeline = self._redis.pipeline(transaction=False)
        for number in numbers:
            pipeline.rpush("list:jobs", number)
        await pipeline.execute()

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        workers = [asyncio.create_task(self._work()) for _ in range(TASKS)]
        yield
        for worker in workers:
            await cancel(worker)

    async def _work(self) -> None:
        while True:
            found = await self._redis.blmove("list:jobs", "list:active", 5, "LEFT", "RIGHT")
            if found is not None:
                await self.job(int(found))
                await self._redis.lrem("list:active", 1, found)


if __name__ == "__main__":
    serve(RawList)
