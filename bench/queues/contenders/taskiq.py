"""taskiq with taskiq-redis: `python -m bench.queues.contenders.taskiq list|stream`."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from taskiq.receiver import Receiver
from taskiq_redis import ListQueueBroker, RedisStreamBroker

from bench.queues.player import TASKS, Contender, serve

# The group of a stream begins at its end unless told otherwise, and here it comes after the jobs.
BROKERS: dict[str, tuple[Any, dict[str, str]]] = {
    "list": (ListQueueBroker, {}),
    "stream": (RedisStreamBroker, {"consumer_id": "0"}),
}


class Taskiq(Contender):
    """No result backend, so no results. Delays would take a scheduler in a process of its own."""

    async def open(self) -> None:
        broker, options = BROKERS[sys.argv[1]]
        self._broker: Any = broker(self.url, max_connection_pool_size=TASKS + 10, **options)

        async def job(number: int) -> None:
            await self.job(number)

        self._job = self._broker.task(job)
        await self._broker.startup()

    async def put(self, number: int, delay: float | None = None) -> None:
        if delay is not None:
            raise NotImplementedError
        await self._job.kiq(number)

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        await self._broker.startup()  # the server was flushed, and with it the consumer group
        self._broker.is_worker_process = True
        enough = asyncio.Event()
        receiver = Receiver(self._broker, run_startup=False, max_async_tasks=TASKS)
        running = asyncio.create_task(receiver.listen(enough))
        yield
        enough.set()
        await running


if __name__ == "__main__":
    serve(Taskiq)
