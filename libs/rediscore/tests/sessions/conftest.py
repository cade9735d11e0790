"""Sessions on keys of their own, and connections that lose replies."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import rediscore.sessions
from rediscore.client import RedisConnections
from rediscore.keys import KeySpace
from rediscore.scripts import Script
from rediscore.settings import RedisSettings
from rediscore.testing import FaultProxy, ServerTime


@pytest.fixture
def now() -> ServerTime:
    return ServerTime()


@pytest.fixture
def keys(key_prefix: str) -> KeySpace:
    return KeySpace(key_prefix)


@pytest.fixture
async def through_proxy(redis_url: str, fault_proxy: FaultProxy) -> AsyncIterator[RedisConnections]:
    """Connections that lead through the proxy. The server knows the scripts, so what gets lost is the
    reply to an effect, not a NOSCRIPT."""
    made = RedisConnections(RedisSettings.from_url(fault_proxy.url(redis_url), socket_timeout=1))
    for file in Path(rediscore.sessions.__file__).parent.glob("lua/*.lua"):
        if file.name != "lib.lua":
            await made.commands.script_load(Script.load("rediscore.sessions", f"lua/{file.name}").source)
    yield made
    await made.aclose()


@pytest.fixture(autouse=True)
async def _clean_up(connections: RedisConnections, key_prefix: str) -> AsyncIterator[None]:
    yield
    stored = [key async for key in connections.commands.scan_iter(match=f"{key_prefix}:*", count=1000)]
    if stored:
        await connections.commands.delete(*stored)
