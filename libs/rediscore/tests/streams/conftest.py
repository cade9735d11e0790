"""The stream kit on the session's server, and on one that the test may hurt; readers as processes."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from rediscore.client import RedisConnections
from rediscore.streams import ReliableStreams
from rediscore.testing import ServerUnderTest, eventually, patient_settings
from rediscore.testing.nursery import Forked, Nursery
from rediscore.testing.streams import Recorder, StreamKit

Spawn = Callable[..., Awaitable[Forked]]


@pytest_asyncio.fixture
async def kit(connections: RedisConnections, key_prefix: str) -> AsyncIterator[StreamKit]:
    made = StreamKit(connections, key_prefix)
    yield made
    await made.stop()


@pytest_asyncio.fixture
async def own_kit(disposable_server: ServerUnderTest, key_prefix: str) -> AsyncIterator[StreamKit]:
    connections = RedisConnections(patient_settings(disposable_server.url))
    made = StreamKit(connections, key_prefix)
    yield made
    await made.stop()
    await connections.aclose()


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest_asyncio.fixture
async def spawn(nursery: Nursery, redis_url: str, key_prefix: str) -> AsyncIterator[Spawn]:
    """Starts a consumer process; all are gone at the end of the test."""
    started: list[Forked] = []

    async def start(
        name: str, mode: str = "ordered", max_reclaims: int = 20, concurrency: int = 16
    ) -> Forked:
        script = Path(__file__).with_name("reader_process.py")
        started.append(
            await nursery.start(script, redis_url, key_prefix, name, mode, max_reclaims, concurrency)
        )
        return started[-1]

    yield start
    for process in started:
        process.kill()
        await process.wait()


async def log_of(kit: StreamKit) -> list[str]:
    return [line.decode() for line in await kit.commands.lrange(f"{kit.prefix}:log", 0, -1)]


async def logged(kit: StreamKit, line: str, within: float = 40) -> None:
    async def found() -> bool:
        return line in await log_of(kit)

    try:
        await eventually(found, within=within, what=repr(line))
    except AssertionError as error:
        raise AssertionError("\n".join([str(error), *await log_of(kit)])) from None


async def die(
    kit: StreamKit, recorder: Recorder, *ids: str, group: str | None = None, others: int = 0
) -> None:
    """Make dead letters of these events (and of `others`), with a reader that stops afterwards."""
    before = sum((await kit.box().counts()).values())
    streams = ReliableStreams(kit.connections, group=group or kit.group, keys=kit.keys)
    for event_id in ids:
        recorder.failing[event_id] = ValueError("no such oven")
    streams.subscriber(kit.stream, retry=kit.quick).on_any(recorder)
    await kit.publish(*(kit.event(event_id) for event_id in ids))
    await streams.start()

    async def dead() -> bool:
        return sum((await kit.box().counts()).values()) == before + len(ids) + others

    await eventually(dead)
    await streams.stop()
    recorder.failing.clear()
    recorder.events.clear()
