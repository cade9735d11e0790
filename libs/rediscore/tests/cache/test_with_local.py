"""The cache with a first level in the process."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from rediscore.cache import Cache, Local
from rediscore.client import RedisConnections
from rediscore.metrics import Metrics
from rediscore.settings import RedisSettings
from rediscore.testing import FaultProxy, eventually

pytestmark = pytest.mark.proves("R6", "R7")

MakeCache = Callable[..., Cache[Any]]


async def kept(cache: Cache[Any], metrics: Metrics, key: str = "k") -> None:
    """Read until it is read from the process."""
    hits = metrics.meter("cache", "things").counts

    async def local() -> bool:
        before = hits["local_hit"]
        await cache.get(key)
        return hits["local_hit"] > before

    await eventually(local, what="it is kept in the process")


CHANGES = pytest.mark.parametrize(
    ("verb", "args", "after"),
    [
        ("set", ("k", 2), 2),
        ("set_many", ({"k": 2},), 2),
        ("delete", ("k",), None),
        ("pull", ("k",), None),
        ("increment", ("k", 4), 5),
        ("invalidate_tags", ("t",), None),
        ("delete_prefix", ("k",), None),
        ("clear", (), None),
        ("forever", ("k", 2), 2),
    ],
)


@CHANGES
async def test_own_changes_show_also_before_they_are_heard(
    make_cache: MakeCache, monkeypatch: pytest.MonkeyPatch, verb: str, args: tuple[Any, ...], after: object
) -> None:
    metrics = Metrics()
    cache = make_cache(local=Local(), metrics=metrics)
    await cache.set("k", 1, tags=["t"])
    await kept(cache, metrics)
    monkeypatch.setattr("rediscore.cache.local._Ear.invalidated", lambda *_: None)

    await getattr(cache, verb)(*args)

    assert await cache.get("k") == after


@CHANGES
async def test_own_changes_show_at_once_and_those_of_others_soon(
    make_cache: MakeCache, through_proxy: RedisConnections, verb: str, args: tuple[Any, ...], after: object
) -> None:
    metrics = Metrics()
    cache = make_cache(local=Local(), metrics=metrics)
    other = make_cache(local=Local(), through=through_proxy)
    await cache.set("k", 1, tags=["t"])
    await kept(cache, metrics)
    await other.get("k")

    await getattr(cache, verb)(*args)

    assert await cache.get("k") == after
    assert await cache.get_many(["k"]) == ({} if after is None else {"k": after})

    async def heard() -> bool:
        return bool(await other.get("k") == after)

    await eventually(heard)


async def test_remember_and_early_refresh_with_a_local_level(
    make_cache: MakeCache, age: Any, source: Any
) -> None:
    metrics = Metrics()
    cache = make_cache(local=Local(), metrics=metrics, early_refresh=0.8)
    for _ in range(3):
        assert await cache.remember("k", source) == "value"
    await kept(cache, metrics)
    assert await cache.remember("k", source) == "value"
    assert source.calls == 1


@pytest.mark.proves("C8")
async def test_when_redis_is_away_the_last_good_value_is_served_and_the_source_left_alone(
    make_cache: MakeCache, redis_url: str, fault_proxy: FaultProxy, source: Any
) -> None:
    connections = RedisConnections(RedisSettings.from_url(fault_proxy.url(redis_url), socket_timeout=1))
    metrics = Metrics()
    options: dict[str, Any] = {"through": connections, "local": Local(), "metrics": metrics}
    cache = make_cache(**options, fail_safe=timedelta(minutes=10), patience=timedelta(milliseconds=200))
    try:
        await cache.set("k", "good")
        await kept(cache, metrics)
        fault_proxy.cut()

        async def feed_is_lost() -> bool:
            before = metrics.meter("cache", "things").counts["local_hit"]
            assert await cache.remember("k", source) == "good"
            return metrics.meter("cache", "things").counts["local_hit"] == before

        await eventually(feed_is_lost)
        for _ in range(5):
            assert await cache.remember("k", source) == "good"
            assert await cache.get("k") == "good"
        assert source.calls == 0
        assert await cache.remember("unknown", source) == "value"
    finally:
        fault_proxy.restore()
        await cache.aclose()
        await connections.aclose()
