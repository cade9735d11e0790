"""Old values for want of better, in bounds; new ones ahead of time."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from rediscore.cache import Cache, LoadTimeout
from rediscore.metrics import Metrics
from rediscore.testing import eventually

pytestmark = pytest.mark.proves("R6", "C5")

MakeCache = Callable[..., Cache[Any]]

MINUTE = timedelta(minutes=1)


async def test_when_the_source_fails_the_old_value_is_served_within_its_bound(
    make_cache: MakeCache, age: Any, source: Any
) -> None:
    metrics = Metrics()
    options: dict[str, Any] = {"fail_safe": 10 * MINUTE, "fail_safe_throttle": timedelta(seconds=30)}
    one, other = make_cache(metrics=metrics, **options), make_cache(**options)
    assert await one.remember("k", source) == "value"
    await age(61)
    source.error = LookupError("source is down")

    for cache in (one, other) * 10:
        assert await cache.remember("k", source) == "value"
        assert await cache.get("k") is None  # that is not fresh, and get says so

    assert source.calls == 2  # once more in both processes together
    assert metrics.meter("cache", "things").counts["stale"] == 10
    await age(10 * 60)
    with pytest.raises(LookupError):
        await one.remember("k", source)


async def test_the_throttle_ends(make_cache: MakeCache, age: Any, source: Any) -> None:
    cache = make_cache(fail_safe=10 * MINUTE, fail_safe_throttle=timedelta(milliseconds=300))
    await cache.remember("k", source)
    await age(61)
    source.error = LookupError()
    await cache.remember("k", source)
    source.error, source.value = None, "new"

    async def renewed() -> bool:
        return bool(await cache.remember("k", source) == "new")

    await eventually(renewed)
    assert source.calls == 3
    assert await cache.get("k") == "new"


async def test_what_was_deleted_or_invalidated_is_not_served_for_want_of_better(
    make_cache: MakeCache, source: Any
) -> None:
    cache = make_cache(fail_safe=10 * MINUTE)
    await cache.remember("deleted", source)
    await cache.remember("tagged", source, tags=["t"])
    await cache.delete("deleted")
    await cache.invalidate_tags("t")
    source.error = LookupError()
    for key, tags in (("deleted", ()), ("tagged", ("t",))):
        with pytest.raises(LookupError):
            await cache.remember(key, source, tags=tags)


async def test_after_the_soft_timeout_the_old_value_is_served_and_the_new_one_follows(
    make_cache: MakeCache, age: Any
) -> None:
    cache = make_cache(fail_safe=10 * MINUTE, soft_timeout=timedelta(milliseconds=50))
    go = asyncio.Event()
    calls = 0

    async def slow() -> str:
        nonlocal calls
        calls += 1
        await go.wait()
        return "new"

    await cache.set("k", "old")
    await age(61)
    assert await asyncio.gather(*(cache.remember("k", slow) for _ in range(5))) == ["old"] * 5
    assert await cache.remember("k", slow) == "old"
    go.set()

    async def renewed() -> bool:
        return bool(await cache.get("k") == "new")

    await eventually(renewed)
    assert calls == 1


async def test_without_an_old_value_only_the_hard_timeout_counts(make_cache: MakeCache, age: Any) -> None:
    cache = make_cache(
        fail_safe=10 * MINUTE,
        soft_timeout=timedelta(milliseconds=10),
        hard_timeout=timedelta(milliseconds=300),
    )

    async def slow() -> str:
        await asyncio.sleep(0.05)
        return "value"

    assert await cache.remember("k", slow) == "value"
    with pytest.raises(LoadTimeout):
        await cache.remember("other", lambda: asyncio.sleep(60))
    await age(61)
    assert await cache.remember("k", lambda: asyncio.sleep(60)) == "value"


async def test_one_reader_of_all_refreshes_ahead_of_the_end(
    make_cache: MakeCache, age: Any, source: Any
) -> None:
    one, other = make_cache(early_refresh=0.8), make_cache(early_refresh=0.8)
    await one.remember("k", source)
    await age(40)
    await one.remember("k", source)
    assert source.calls == 1
    await age(10)
    source.value = "new"

    served = await asyncio.gather(*(cache.remember("k", source) for cache in (one, other) * 20))

    assert set(served) <= {"value", "new"}  # nobody waited for it, some came after it

    async def renewed() -> bool:
        return bool(await other.get("k") == "new")

    await eventually(renewed)
    assert source.calls == 2
    await age(40)
    await one.remember("k", source)
    assert source.calls == 2


async def test_a_refresh_that_fails_is_not_tried_by_everybody(
    make_cache: MakeCache, age: Any, source: Any
) -> None:
    cache = make_cache(early_refresh=0.5, fail_safe_throttle=timedelta(seconds=30))
    await cache.remember("k", source)
    await age(40)
    source.error = LookupError()
    assert await cache.remember("k", source) == "value"
    await eventually(lambda: source.calls == 2)
    await asyncio.sleep(0.05)
    for _ in range(10):
        assert await cache.remember("k", source) == "value"
    assert source.calls == 2


async def test_a_tagged_value_keeps_all_of_this(make_cache: MakeCache, age: Any, source: Any) -> None:
    cache = make_cache(fail_safe=10 * MINUTE, early_refresh=0.8)
    await cache.remember("k", source, tags=["t"])
    await age(61)
    source.error = LookupError()
    assert await cache.remember("k", source, tags=["t"]) == "value"
    await cache.invalidate_tags("t")
    source.error, source.value = None, "new"
    assert await cache.remember("k", source, tags=["t"]) == "new"
