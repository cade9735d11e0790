"""streaq: `python -m bench.queues.contenders.streaq`."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Any

import streaq

from bench.queues.player import TASKS, Contender, cancel, serve


class Streaq(Contender):
    """With its defaults: results are stored."""

    async def open(self) -> None:
        self._worker, self._job = self._made()
        await AsyncExitStack().enter_async_context(self._worker)

    def _made(self) -> tuple[Any, Any]:
        worker: Any = streaq.Worker(redis_url=self.url, concurrency=TASKS, handle_signals=False)

        async def job(number: int) -> None:
            await self.job(number)

        return worker, worker.task(job, name="job")

    async def put(self, number: int, delay: float | None = None) -> None:
        task = self._job.enqueue(number)
        await (task if delay is None else task.start(delay=timedelta(seconds=delay)))

    async def put_many(self, numbers: range) -> None:
        await self._worker.enqueue_many([self._job.enqueue(number) for number in numbers])

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        worker, _ = self._made()
        running = asyncio.create_task(worker.run_async())
        yield
        await cancel(running)


if __name__ == "__main__":
    serve(Streaq)
