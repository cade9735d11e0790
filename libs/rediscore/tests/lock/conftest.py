"""Locks on keys of the test's own, and looks at what they leave on the server."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from rediscore.client import RedisConnections
from rediscore.keys import KeySpace
from rediscore.lock import Locks
from rediscore.lock.verbs import Verbs
from rediscore.testing import eventually

InLine = Callable[[int], Awaitable[None]]


@pytest.fixture
def keys(key_prefix: str) -> KeySpace:
    return KeySpace(key_prefix)


@pytest.fixture
async def locks(connections: RedisConnections, keys: KeySpace) -> AsyncIterator[Locks]:
    async with Locks(connections, keys=keys) as made:
        yield made


@pytest.fixture
async def distant(through_proxy: RedisConnections, keys: KeySpace) -> AsyncIterator[Locks]:
    """The same locks, used through the proxy."""
    async with Locks(through_proxy, keys=keys) as made:
        yield made


@pytest.fixture
def other(connections: RedisConnections, keys: KeySpace) -> Callable[[str], Verbs]:
    """Somebody else who asks for the lock "x", in single verbs: it holds, waits or dies as the test says."""

    def make(name: str) -> Verbs:
        return Verbs(connections, keys, "x", f"nowhere#{name}")

    return make


@pytest.fixture
def in_line(connections: RedisConnections, key_prefix: str) -> InLine:
    """Wait until so many stand in line for "x"."""

    async def wait(count: int) -> None:
        async def check() -> bool:
            (line,) = [key async for key in connections.scan_keys(f"{key_prefix}:*:line:x")] or [b"none"]
            return bool(await connections.execute("ZCARD", line) == count)

        await eventually(check, what=f"{count} in line")

    return wait


@pytest.fixture(autouse=True)
async def _nothing_is_left(connections: RedisConnections, key_prefix: str) -> AsyncIterator[None]:
    yield
    keys = [key async for key in connections.scan_keys(f"{key_prefix}:*")]
    assert not [key for key in keys if await connections.execute("PTTL", key) < 0]
