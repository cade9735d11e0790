"""Redis is away: callers wait a bounded time and get a value; the source gets no stampede."""

import asyncio
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from rediscore.breaker import CircuitBreaker, State
from rediscore.cache import Cache
from rediscore.client import RedisConnections
from rediscore.metrics import Metrics
from rediscore.settings import RedisSettings
from rediscore.testing import FaultProxy, ServerUnderTest, eventually

pytestmark = pytest.mark.proves("R6", "C8")

MakeCache = Callable[..., Cache[Any]]

PATIENCE = timedelta(milliseconds=200)


@pytest.fixture
async def away(make_cache: MakeCache, through_proxy: RedisConnections) -> Cache[Any]:
    """The same cache as `cache`, through the proxy, with little patience."""
    return make_cache(through=through_proxy, patience=PATIENCE)


@pytest.mark.parametrize("how", ["cut", "pause"])
async def test_readers_get_a_value_in_time_by_one_computation(
    away: Cache[Any], fault_proxy: FaultProxy, how: str
) -> None:
    await away.set("k", "kept")
    getattr(fault_proxy, how)()
    calls = 0

    async def factory() -> str:
        nonlocal calls
        calls += 1
        await asyncio.sleep(0.2)
        return "computed"

    begun = time.monotonic()
    assert await asyncio.gather(*(away.remember("k", factory) for _ in range(100))) == ["computed"] * 100
    assert await away.get("k", "default") == "default"
    assert await away.get_many(["k"]) == {}
    assert not await away.has("k")
    assert time.monotonic() - begun < 4  # four waits; without a bound each takes the retries of the settings
    assert calls == 1

    with pytest.raises(LookupError):
        await away.remember("k", _fail)
    getattr(fault_proxy, "restore" if how == "cut" else "resume")()

    async def back() -> bool:
        return bool(await away.get("k") == "kept")

    await eventually(back)


async def _fail() -> None:
    raise LookupError


async def test_no_stampede_while_it_goes_and_comes_back(
    away: Cache[Any], cache: Cache[Any], fault_proxy: FaultProxy
) -> None:
    """However Redis comes and goes, at most one computation per key and process runs at a time, and once
    it is back one computation serves all."""
    running = 0
    most = 0
    calls = 0

    async def factory() -> str:
        nonlocal running, most, calls
        calls += 1
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.05)
        running -= 1
        return "value"

    stop = asyncio.Event()

    async def read() -> None:
        while not stop.is_set():
            assert await away.remember("k", factory) == "value"
            await asyncio.sleep(0.001)

    readers = [asyncio.create_task(read()) for _ in range(50)]
    for _ in range(3):
        fault_proxy.cut()
        await asyncio.sleep(0.2)
        await cache.delete("k")
        fault_proxy.restore()
        await eventually(lambda: cache.has("k"), what="the value is there again")
        computed = calls
        await asyncio.sleep(0.1)
        assert calls <= computed + 1  # one may have begun before
    stop.set()
    await asyncio.gather(*readers)
    assert most == 1


async def test_a_breaker_spares_the_wait(
    make_cache: MakeCache, through_proxy: RedisConnections, fault_proxy: FaultProxy, source: Any
) -> None:
    breaker = CircuitBreaker("redis", failures=2, open_for=timedelta(milliseconds=500), probes=1)
    cache = make_cache(through=through_proxy, patience=PATIENCE, breaker=breaker)
    await cache.set("k", "kept")
    assert await cache.get("k") == "kept"
    fault_proxy.pause()
    for _ in range(2):
        assert await cache.get("k") is None
    assert breaker.state is State.OPEN
    begun = time.monotonic()
    for _ in range(50):
        assert await cache.remember("k", source) == "value"
    assert time.monotonic() - begun < 5  # without a breaker ten seconds
    fault_proxy.resume()

    async def back() -> bool:
        return bool(await cache.get("k") == "kept")

    await eventually(back)


async def test_writing_says_that_it_failed(make_cache: MakeCache, through_proxy: RedisConnections) -> None:
    nowhere = RedisConnections(RedisSettings.from_url("redis://127.0.0.1:9/0", retries=0))
    cache = make_cache(through=nowhere)
    for verb, args in (("set", ("k", 1)), ("delete", ("k",)), ("invalidate_tags", ("t",)), ("add", ("k", 1))):
        with pytest.raises(RedisConnectionError):
            await getattr(cache, verb)(*args)
    await nowhere.aclose()


async def test_a_server_that_dies_with_a_lease_and_comes_back_empty(
    make_cache: MakeCache, disposable_server: ServerUnderTest
) -> None:
    connections = RedisConnections(RedisSettings.from_url(disposable_server.url))
    metrics = Metrics()
    cache = make_cache(through=connections, metrics=metrics, patience=timedelta(seconds=1))
    begun = asyncio.Event()

    async def factory() -> str:
        begun.set()
        await asyncio.sleep(0.1)
        disposable_server.kill()
        return "value"

    try:
        assert await cache.remember("k", factory, tags=["t"]) == "value"
        assert begun.is_set()
        assert metrics.meter("cache", "things").counts["error"] > 0
        disposable_server.start()

        async def kept_again() -> bool:
            return bool(await cache.remember("k", lambda: "again", tags=["t"]) and await cache.has("k"))

        await eventually(kept_again)
    finally:
        await cache.aclose()
        await connections.aclose()
