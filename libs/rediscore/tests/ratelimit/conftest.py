"""Limiters on keys of their own, with a time that the test may hold."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import pytest
from rediscore.client import RedisConnections
from rediscore.keys import KeySpace
from rediscore.ratelimit import RateLimiter, Strategy
from rediscore.settings import RedisSettings
from rediscore.testing import FaultProxy

MakeLimiter = Callable[..., RateLimiter]


@dataclass
class Microseconds:
    """What the script takes for the server's time."""

    us: int = 1_800_000_000_000_000

    def __call__(self) -> int:
        return self.us

    def advance(self, seconds: float) -> None:
        self.us += round(seconds * 1e6)


@pytest.fixture
def now() -> Microseconds:
    return Microseconds()


@pytest.fixture
def make_limiter(connections: RedisConnections, key_prefix: str) -> MakeLimiter:
    """Limiters that share their keys: several clients of one limit."""

    def make(*limits: Strategy, through: RedisConnections | None = None, **options: Any) -> RateLimiter:
        return RateLimiter(through or connections, "api", *limits, keys=KeySpace(key_prefix), **options)

    return make


@pytest.fixture
async def through_proxy(redis_url: str, fault_proxy: FaultProxy) -> AsyncIterator[RedisConnections]:
    """Connections that lead through the proxy, opened already."""
    made = RedisConnections(RedisSettings.from_url(fault_proxy.url(redis_url), socket_timeout=1))
    await made.ping()
    yield made
    await made.aclose()


@pytest.fixture(autouse=True)
async def _clean_up(connections: RedisConnections, key_prefix: str) -> AsyncIterator[None]:
    yield
    keys = [key async for key in connections.commands.scan_iter(match=f"{key_prefix}:*", count=1000)]
    if keys:
        await connections.commands.delete(*keys)
