"""A queue per test, on keys of its own, with a clock that the test may hold."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from rediscore.client import RedisConnections
from rediscore.keys import KeySpace
from rediscore.queue import PriorityQueue
from rediscore.testing import ServerTime

HEAD_START = {"standard": timedelta(0), "express": timedelta(minutes=10)}


@pytest.fixture
def now() -> ServerTime:
    return ServerTime()


MakeQueue = Callable[..., PriorityQueue]
Wipe = Callable[[], Awaitable[None]]


@pytest.fixture
def make_queue(connections: RedisConnections, key_prefix: str) -> MakeQueue:
    """Make queues that share their keys: several clients of one queue."""

    def make(through: RedisConnections | None = None, **options: Any) -> PriorityQueue:
        options.setdefault("head_start", HEAD_START)
        return PriorityQueue(through or connections, "work", keys=KeySpace(key_prefix), **options)

    return make


@pytest.fixture
async def queue(make_queue: MakeQueue) -> PriorityQueue:
    """On the server's clock."""
    return make_queue()


@pytest.fixture
async def timed(make_queue: MakeQueue, now: ServerTime) -> PriorityQueue:
    """On the clock of the test."""
    return make_queue(now_ms=now)


@pytest.fixture
def wipe(connections: RedisConnections, key_prefix: str) -> Callable[[], Awaitable[None]]:
    """Lose all that the queue has, as FLUSHALL would, without hurting other tests on the server."""

    async def lose_everything() -> None:
        keys = [key async for key in connections.commands.scan_iter(match=f"{key_prefix}:*", count=1000)]
        await connections.commands.delete(*keys)
        await connections.commands.script_flush()

    return lose_everything
