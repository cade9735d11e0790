"""Readers of a stream: `python -m bench.queues.contenders.streams KIND`, of KINDS below.

All handle the same validated CloudEvents with a handler that does nothing, and acknowledge them.
"""

import asyncio
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from faststream.redis import RedisBroker, StreamSub
from pydantic import BaseModel
from rediscore.client import RedisConnections
from rediscore.keys import KeySpace
from rediscore.settings import RedisSettings
from rediscore.streams import CloudEvent, RawEvent, ReliableStreams, StreamPublisher

from bench.queues.player import BATCH, Contender, serve

STREAM, GROUP, SUBJECTS = "bench.events", "bench", 200
SILENT = logging.getLogger("silent")


class Line(BaseModel):
    pizza_id: str
    quantity: int
    unit_price: str


class Order(BaseModel):
    customer_id: str
    items: list[Line]
    total: str
    currency: str


ORDER = Order(
    customer_id=str(uuid4()),
    items=[Line(pizza_id="margherita", quantity=2, unit_price="12.99")],
    total="25.98",
    currency="EUR",
)


class Reader(Contender):
    """A consumer group on one stream; jobs are events."""

    async def open(self) -> None:
        self._connections = RedisConnections(RedisSettings.from_url(self.url))
        self._publisher = StreamPublisher(self._connections)
        self._subjects = [str(uuid4()) for _ in range(SUBJECTS)]

    async def put(self, number: int, delay: float | None = None) -> None:
        raise NotImplementedError

    async def put_many(self, numbers: range) -> None:
        events = [
            CloudEvent[Order](
                id=str(uuid4()),
                source="bench",
                type="bench.order.v1",
                subject=self._subjects[number % SUBJECTS],
                time=datetime.now(UTC),
                data=ORDER,
            )
            for number in numbers
        ]
        if numbers.start == 0:
            await self._connections.commands.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
        for first in range(0, len(events), BATCH):
            await self._publisher.publish(STREAM, events[first : first + BATCH])

    async def settled(self) -> bool:
        summary: Any = await self._connections.commands.xpending(STREAM, GROUP)
        return bool(summary["pending"] == 0)


class Ours(Reader):
    """Order per subject, retries, dead letters; one event per call."""

    def register(self, streams: ReliableStreams) -> None:
        @streams.subscriber(STREAM).on("bench.order.v1")
        async def handle(event: CloudEvent[Order]) -> None:
            self.ran(0)

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        streams = ReliableStreams(self._connections, group=GROUP, keys=KeySpace("bench"))
        self.register(streams)
        await streams.start()
        yield
        await streams.stop()


class OursRaw(Ours):
    """The same, with the data as it came."""

    def register(self, streams: ReliableStreams) -> None:
        async def handle(event: RawEvent) -> None:
            self.ran(0)

        streams.subscriber(STREAM).on_any(handle)


class OursInBatches(Ours):
    """Up to 100 events per call, read and sorted as above; the handler reads what it needs."""

    def register(self, streams: ReliableStreams) -> None:
        async def handle(events: Any) -> None:
            for _ in events:
                self.ran(0)

        streams.subscriber(STREAM, batch=True).on_batch(handle)


class FastStream(Reader):
    """As fast as it goes: 100 per read, no log lines, the group made beforehand so that nothing is missed."""

    batch = False

    def register(self, broker: RedisBroker, stream: StreamSub) -> None:
        async def handle(event: CloudEvent[Order]) -> None:
            self.ran(0)

        broker.subscriber(stream=stream)(handle)

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        broker = RedisBroker(self.url, logger=SILENT)
        stream = StreamSub(STREAM, group=GROUP, consumer="one", max_records=100, batch=self.batch)
        self.register(broker, stream)
        others = asyncio.all_tasks()
        await broker.start()
        yield
        await broker.stop()
        # One cancellation is not always enough for its reader, because Python 3.11 may lose it in redis-py.
        while left := asyncio.all_tasks() - others:
            for task in left:
                task.cancel()
            await asyncio.wait(left, timeout=1.0)


class FastStreamInBatches(FastStream):
    """Up to 100 events per call, all acknowledged together."""

    batch = True

    def register(self, broker: RedisBroker, stream: StreamSub) -> None:
        async def handle(events: list[CloudEvent[Order]]) -> None:
            for _ in events:
                self.ran(0)

        broker.subscriber(stream=stream)(handle)


KINDS = {
    "ours": Ours,
    "ours-raw": OursRaw,
    "ours-batch": OursInBatches,
    "faststream": FastStream,
    "faststream-batch": FastStreamInBatches,
}

if __name__ == "__main__":
    serve(KINDS[sys.argv[1]])
