"""arq: `python -m bench.queues.contenders.arq`."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from arq import Worker, create_pool, func
from arq.connections import RedisSettings

from bench.queues.player import TASKS, Contender, cancel, serve


class Arq(Contender):
    """With its defaults: results are stored, work is looked for every half second."""

    async def open(self) -> None:
        self._settings = RedisSettings.from_dsn(self.url)
        self._settings.max_connections = TASKS + 10
        self._pool = await create_pool(self._settings)

    async def put(self, number: int, delay: float | None = None) -> None:
        await self._pool.enqueue_job("job", number, _defer_by=delay)

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        async def job(_: Any, number: int) -> None:
            await self.job(number)

        worker = Worker(
            [func(job, name="job")], redis_settings=self._settings, max_jobs=TASKS, handle_signals=False
        )
        running = asyncio.create_task(worker.async_run())
        yield
        await cancel(running)
        with contextlib.suppress(asyncio.CancelledError):  # of its jobs
            await worker.close()


if __name__ == "__main__":
    serve(Arq)
