"""saq: `python -m bench.queues.contenders.saq`."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, ClassVar

import saq

from bench.queues.player import TASKS, Contender, serve


class Worker(saq.Worker):  # type: ignore[misc]
    """Signals are not its own here."""

    SIGNALS: ClassVar[list[Any]] = []


class Saq(Contender):
    """With its defaults: results are stored."""

    async def open(self) -> None:
        self._queue = saq.Queue.from_url(self.url)
        await self._queue.connect()

    async def put(self, number: int, delay: float | None = None) -> None:
        later = {} if delay is None else {"scheduled": time.time() + delay}
        await self._queue.enqueue("job", number=number, **later)

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        async def job(_: Any, *, number: int) -> None:
            await self.job(number)

        worker = Worker(self._queue, [("job", job)], concurrency=TASKS)
        running = asyncio.create_task(worker.start())
        yield
        worker.event.set()
        await running


if __name__ == "__main__":
    serve(Saq)
