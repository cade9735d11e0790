"""Caches that are closed at the end, on keys of their own, and a way to let time pass in Redis."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from rediscore.cache import Cache
from rediscore.client import RedisConnections
from rediscore.keys import KeySpace
from rediscore.testing import load_scripts

MakeCache = Callable[..., Cache[Any]]
Age = Callable[[float], Awaitable[None]]


@pytest.fixture
async def make_cache(connections: RedisConnections, key_prefix: str) -> AsyncIterator[MakeCache]:
    """Make caches; those of one name share their keys, as those of several processes do."""
    made: list[Cache[Any]] = []

    def make(
        name: str = "things",
        *,
        through: RedisConnections | None = None,
        prefix: str = key_prefix,
        **options: Any,
    ) -> Cache[Any]:
        options.setdefault("ttl", timedelta(seconds=60))
        # A machine under load may let a reply wait; tests of outages give a patience of their own.
        options.setdefault("patience", timedelta(seconds=5))
        cache: Cache[Any] = Cache(through or connections, name, keys=KeySpace(prefix), **options)
        made.append(cache)
        return cache

    yield make
    for cache in made:
        await cache.aclose()


@pytest.fixture
async def cache(make_cache: MakeCache) -> Cache[Any]:
    return make_cache()


@pytest.fixture
async def through_proxy(through_proxy: RedisConnections) -> RedisConnections:
    """The server knows the scripts, so what gets lost is the reply to an effect."""
    await load_scripts(through_proxy, "rediscore.cache")
    return through_proxy


@pytest.fixture
def age(connections: RedisConnections, key_prefix: str) -> Age:
    """Let so many seconds pass for all keys of the test that have a TTL."""

    async def pass_by(seconds: float) -> None:
        async for key in connections.scan_keys(f"{key_prefix}*"):
            left = await connections.execute("PTTL", key)
            if left >= 0:
                await connections.execute("PEXPIRE", key, left - round(seconds * 1000))

    return pass_by


class Source:
    """What is cached: counts how often it is asked, and can be slow or broken."""

    def __init__(self, value: Any = "value") -> None:
        self.value = value
        self.calls = 0
        self.error: Exception | None = None

    async def __call__(self) -> Any:
        self.calls += 1
        if self.error is not None:
            raise self.error
        return self.value


@pytest.fixture
def source() -> Source:
    return Source()
