"""rediscore: `python -m bench.queues.contenders.ours tasks|results|queue pool|multiplexed`."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from rediscore.client import RedisConnections
from rediscore.keys import KeySpace
from rediscore.queue import Claim, NewEntry, PriorityQueue
from rediscore.settings import RedisSettings
from rediscore.tasks import Tasks, Worker

from bench.queues.player import TASKS, Contender, cancel, serve


def connections(url: str) -> RedisConnections:
    """By the second word on the command line."""
    return RedisConnections(RedisSettings.from_url(url, transport=sys.argv[2], pool_size=TASKS))


class OurTasks(Contender):
    """Tasks with retries, dead letters and priorities, a worker with 50 at once."""

    keep_result = False

    async def open(self) -> None:
        self._tasks = Tasks(connections(self.url), "bench", keys=KeySpace("bench"))

        @self._tasks.task(keep_result=self.keep_result)
        async def job(number: int) -> int:
            return await self.job(number)

        self._job = job

    async def put(self, number: int, delay: float | None = None) -> None:
        countdown = None if delay is None else timedelta(seconds=delay)
        await self._job.apply_async((number,), countdown=countdown)

    async def put_many(self, numbers: range) -> None:
        await self._job.delay_many([(number,) for number in numbers])

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        worker = Worker(self._tasks, concurrency=TASKS)
        running = asyncio.create_task(worker.run())
        yield
        worker.stop()
        await running

    async def settled(self) -> bool:
        return (await self._tasks.queue.stats()).leased == 0


class OurTasksWithResults(OurTasks):
    """And each result is kept for an hour."""

    keep_result = True


class OurQueue(Contender):
    """The queue alone: leases, dead letters, priorities; 50 claimed at once, acknowledged with the next."""

    async def open(self) -> None:
        head_start = {"standard": timedelta(0), "express": timedelta(minutes=10)}
        self._queue = PriorityQueue(
            connections(self.url), "bench", keys=KeySpace("bench"), head_start=head_start
        )

    async def put(self, number: int, delay: float | None = None) -> None:
        pause = None if delay is None else timedelta(seconds=delay)
        await self._queue.add(str(number), b"%d" % number, delay=pause)

    async def put_many(self, numbers: range) -> None:
        await self._queue.add_many([NewEntry(str(number), b"%d" % number) for number in numbers])

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        running = asyncio.create_task(self._work())
        yield
        await cancel(running)

    async def _work(self) -> None:
        done: list[Claim] = []
        while True:
            claims = await self._queue.claim_many("w", TASKS, done=done, wait=timedelta(seconds=5))
            for claim in claims:
                await self.job(int(claim.payload))
            done = claims

    async def settled(self) -> bool:
        return (await self._queue.stats()).leased == 0


KINDS = {"tasks": OurTasks, "results": OurTasksWithResults, "queue": OurQueue}

if __name__ == "__main__":
    serve(KINDS[sys.argv[1]])
