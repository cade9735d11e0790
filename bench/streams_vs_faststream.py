"""How fast streams are read: FastStream's single-message mode against ours, same server, same events.

    python bench/streams_vs_faststream.py [--events 10000] [--rounds 5]

Both handle the same CloudEvents with a handler that does nothing, and acknowledge them. The rounds are
interleaved, because a machine's speed drifts; trust the ratios, not the rates.
"""

import argparse
import asyncio
import logging
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from faststream.redis import RedisBroker, StreamSub
from pydantic import BaseModel
from rediscore.client import RedisConnections
from rediscore.embedded import EmbeddedServer
from rediscore.keys import KeySpace
from rediscore.settings import RedisSettings
from rediscore.streams import CloudEvent, RawEvent, ReliableStreams, StreamPublisher

GROUP = "bench"
SILENT = logging.getLogger("silent")
SILENT.propagate = False
SILENT.addHandler(logging.NullHandler())


class Line(BaseModel):
    pizza_id: str
    quantity: int
    unit_price: str


class Order(BaseModel):
    customer_id: str
    items: list[Line]
    total: str
    currency: str


class Countdown:
    """Set when the last event was handled."""

    def __init__(self, events: int) -> None:
        self.left = events
        self.done = asyncio.Event()

    def hit(self, events: int = 1) -> None:
        self.left -= events
        if self.left <= 0:
            self.done.set()


Contender = Callable[[RedisConnections, str, str, Countdown], Awaitable[float]]


async def faststream_single(
    connections: RedisConnections, url: str, stream: str, countdown: Countdown
) -> float:
    """As fast as it goes: 100 per read, no log lines, group made beforehand so that nothing is missed."""
    broker = RedisBroker(url, logger=SILENT)

    @broker.subscriber(stream=StreamSub(stream, group=GROUP, consumer="one", max_records=100))
    async def handle(event: CloudEvent[Order]) -> None:
        countdown.hit()

    begun = time.perf_counter()
    await broker.start()
    await acknowledged(connections, stream, countdown)
    took = time.perf_counter() - begun
    await broker.stop()
    await end_what_is_left()
    return took


async def end_what_is_left() -> None:
    """A reader of the round before must not take the next one's time: one cancellation is not always
    enough for FastStream's, because Python 3.11 may lose it inside redis-py."""
    while left := asyncio.all_tasks() - {asyncio.current_task()}:
        for task in left:
            task.cancel()
        await asyncio.wait(left, timeout=1.0)


async def ours(connections: RedisConnections, stream: str, countdown: Countdown, register: Any) -> float:
    streams = ReliableStreams(connections, group=GROUP, keys=KeySpace("bench"))
    register(streams, stream)
    begun = time.perf_counter()
    await streams.start()
    await acknowledged(connections, stream, countdown)
    took = time.perf_counter() - begun
    await streams.stop()
    return took


async def ours_typed(connections: RedisConnections, _: str, stream: str, countdown: Countdown) -> float:
    """Ordered mode, one validated event per call."""

    def register(streams: ReliableStreams, stream: str) -> None:
        @streams.subscriber(stream).on("bench.order.v1")
        async def handle(event: CloudEvent[Order]) -> None:
            countdown.hit()

    return await ours(connections, stream, countdown, register)


async def ours_raw(connections: RedisConnections, _: str, stream: str, countdown: Countdown) -> float:
    """Ordered mode, one event per call, data as it came."""

    async def handle(event: RawEvent) -> None:
        countdown.hit()

    def register(streams: ReliableStreams, stream: str) -> None:
        streams.subscriber(stream).on_any(handle)

    return await ours(connections, stream, countdown, register)


async def ours_batch(connections: RedisConnections, _: str, stream: str, countdown: Countdown) -> float:
    """Ordered mode, up to 100 events per call."""

    async def handle(events: Any) -> None:
        countdown.hit(len(events))

    def register(streams: ReliableStreams, stream: str) -> None:
        streams.subscriber(stream, batch=True).on_batch(handle)

    return await ours(connections, stream, countdown, register)


CONTENDERS: dict[str, Contender] = {
    "FastStream, single": faststream_single,
    "ours, typed handler": ours_typed,
    "ours, raw handler": ours_raw,
    "ours, batch": ours_batch,
}


async def acknowledged(connections: RedisConnections, stream: str, countdown: Countdown) -> None:
    """Return when all is handled and nothing is pending."""
    async with asyncio.timeout(120):
        await countdown.done.wait()
        while True:
            summary: Any = await connections.commands.xpending(stream, GROUP)
            if summary["pending"] == 0:
                return
            await asyncio.sleep(0.001)


async def fill(connections: RedisConnections, stream: str, events: int) -> None:
    publisher = StreamPublisher(connections)
    order = Order(
        customer_id=str(uuid4()),
        items=[Line(pizza_id="margherita", quantity=2, unit_price="12.99")],
        total="25.98",
        currency="EUR",
    )
    subjects = [str(uuid4()) for _ in range(200)]
    made = [
        CloudEvent[Order](
            id=str(uuid4()),
            source="bench",
            type="bench.order.v1",
            subject=subjects[number % len(subjects)],
            time=datetime.now(UTC),
            data=order,
        )
        for number in range(events)
    ]
    for start in range(0, events, 500):
        await publisher.publish(stream, made[start : start + 500])
    await connections.commands.xgroup_create(stream, GROUP, id="0")


async def measure(url: str, events: int, rounds: int) -> dict[str, list[float]]:
    connections = RedisConnections(RedisSettings.from_url(url))
    rates: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    for number in range(rounds + 1):
        for name, contender in CONTENDERS.items():
            stream = f"bench.{number}.{uuid4().hex}"
            await fill(connections, stream, events)
            took = await contender(connections, url, stream, Countdown(events))
            await connections.commands.delete(stream)
            if number:  # the first round warms up
                rates[name].append(events / took)
    await connections.aclose()
    return rates


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--events", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as directory, EmbeddedServer(Path(directory)) as server:
        rates = asyncio.run(measure(server.url, options.events, options.rounds))
    base = rates["FastStream, single"]
    print(f"{options.events} events, {options.rounds} rounds, append-only server")
    print(f"{'':22} {'events/s':>10} {'ratio':>7}   ratio per round")
    for name, found in rates.items():
        ratios = [rate / other for rate, other in zip(found, base, strict=True)]
        listed = " ".join(f"{ratio:.1f}" for ratio in ratios)
        print(f"{name:22} {statistics.median(found):>10,.0f} {statistics.median(ratios):>7.1f}   {listed}")


if __name__ == "__main__":
    main()
