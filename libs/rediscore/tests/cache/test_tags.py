"""Tags: what is invalidated stays so, whatever lives how long and whatever gets lost."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from rediscore.cache import Cache
from rediscore.client import RedisConnections
from rediscore.keys import KeySpace
from rediscore.scripts import Script

pytestmark = pytest.mark.proves("R5", "C3")

MakeCache = Callable[..., Cache[Any]]
INVALIDATE = Script.load("rediscore.cache", "lua/invalidate.lua")


@pytest.fixture
def marks(key_prefix: str) -> str:
    return KeySpace(key_prefix).key("marks", tag="cache:things:0")


async def test_one_of_many_tags_is_enough_and_others_stay(cache: Cache[Any], make_cache: MakeCache) -> None:
    await cache.set("a", 1, tags=["x", "y"])
    await cache.set("b", 2, tags=["y", "z"])
    await cache.set("c", 3, tags=["z"])
    await cache.set("d", 4)
    other = make_cache("things2")
    await other.set("a", 1, tags=["y"])

    await make_cache().invalidate_tags("y")

    assert await cache.get_many("abcd") == {"c": 3, "d": 4}
    assert [await cache.has(key) for key in "abcd"] == [False, False, True, True]
    assert await cache.pull("a") is None
    assert await other.get("a") == 1
    await cache.set_many({"a": 5, "b": 6}, tags=["y"])
    assert await cache.get_many("ab") == {"a": 5, "b": 6}
    await cache.invalidate_tags("x", "z")
    assert await cache.get_many("abc") == {"a": 5, "b": 6}


async def test_a_long_lived_value_keeps_its_tag_when_a_short_lived_one_ends(
    cache: Cache[Any], age: Any
) -> None:
    await cache.set("short", 1, ttl=timedelta(seconds=1), tags=["t"])
    await cache.set("long", 2, ttl=timedelta(hours=10), tags=["t"])
    await age(3600)
    await cache.set("new", 3, ttl=timedelta(seconds=1), tags=["t"])
    await age(3600 * 8)
    assert await cache.get("long") == 2

    await cache.invalidate_tags("t")

    assert not await cache.has("long")


async def test_marks_that_got_lost_make_tagged_values_misses_and_nothing_else(
    cache: Cache[Any], make_cache: MakeCache, connections: RedisConnections, marks: str
) -> None:
    """As after an eviction: nobody can tell any more what was invalidated, so nothing comes back."""
    await cache.set("gone", 1, tags=["t"])
    await cache.set("kept", 2, tags=["u"])
    await cache.set("plain", 3)
    await cache.invalidate_tags("t")
    assert await connections.execute("DEL", marks) == 1

    assert await make_cache().get_many(["gone", "kept", "plain"]) == {"plain": 3}
    await cache.set("later", 4, tags=["t"])  # makes new marks
    assert await cache.get_many(["gone", "kept", "plain", "later"]) == {"plain": 3, "later": 4}
    await cache.invalidate_tags("t")
    assert await cache.get_many(["gone", "kept", "plain", "later"]) == {"plain": 3}


async def test_marks_lost_during_a_computation_void_it(
    cache: Cache[Any], make_cache: MakeCache, connections: RedisConnections, marks: str
) -> None:
    for wiped_by in ("eviction", "eviction and new marks"):
        begun, go = asyncio.Event(), asyncio.Event()

        async def factory(begun: asyncio.Event = begun, go: asyncio.Event = go) -> str:
            begun.set()
            await go.wait()
            return "old"

        caller = asyncio.create_task(cache.remember("k", factory, tags=["t"]))
        await begun.wait()
        await make_cache().invalidate_tags("t")
        await connections.execute("DEL", marks)
        if wiped_by != "eviction":
            await make_cache().set("other", 1, tags=["u"])
        go.set()
        assert await caller == "old"
        assert not await cache.has("k")


async def test_marks_do_not_grow_for_ever(
    make_cache: MakeCache, connections: RedisConnections, marks: str
) -> None:
    """Marks older than the longest TTL go: no value that is older than they are is left."""
    cache = make_cache()
    many = [f"t{number}" for number in range(50)]
    await cache.invalidate_tags(*many)
    assert await connections.execute("ZCARD", marks) == len(many) + 4
    for mark in ("#floor", *(f":{tag}" for tag in many)):  # two hours ago, and an hour ago
        await connections.execute("ZINCRBY", marks, -7.2e9 if mark == "#floor" else -3.6e9, mark)
    await cache.set("k", 1, tags=["t1"])
    await cache.invalidate_tags("t60")
    assert await connections.execute("ZCARD", marks) == 5
    assert await cache.get("k") == 1
    assert 60_000 < await connections.execute("PTTL", marks) <= 120_000

    await cache.forever("always", 1, tags=["t1"])
    assert await connections.execute("PTTL", marks) == -1
    await cache.invalidate_tags("t1")
    assert not await cache.has("always")
    await connections.execute("ZINCRBY", marks, -7.2e9, "#floor")
    await connections.execute("ZINCRBY", marks, -3.6e9, ":t1")
    await cache.invalidate_tags("t2")
    assert await connections.execute("ZSCORE", marks, ":t1") is not None


async def test_too_many_marks_go_by_age_and_what_they_concern_goes_too(
    cache: Cache[Any], connections: RedisConnections, marks: str
) -> None:
    async def invalidate(tag: str) -> None:
        await INVALIDATE(connections, keys=[marks], args=[60_000, 8, f":{tag}"])

    await cache.set("oldest", 1, tags=["t0"])
    await invalidate("t0")
    await cache.set("old", 1, tags=["never"])
    for number in range(1, 20):
        await invalidate(f"t{number}")
        assert await connections.execute("ZCARD", marks) <= 8 + 4
    await cache.set("new", 1, tags=["t19"])
    # That of `oldest` is forgotten, so everything as old counts as invalidated.
    assert await connections.execute("ZSCORE", marks, ":t0") is None
    assert await cache.get_many(["oldest", "old", "new"]) == {"new": 1}


async def test_a_clock_that_is_set_back_brings_nothing_back(
    cache: Cache[Any], connections: RedisConnections, marks: str
) -> None:
    """Numbers of invalidations grow also while the server's clock is behind the last one."""
    await cache.set("k", 1, tags=["t"])
    ahead = float(await connections.execute("ZSCORE", marks, "#last")) + 3_600_000_000
    await connections.execute("ZADD", marks, f"{ahead:.0f}", "#last")
    await cache.set("k", 2, tags=["t"])
    assert await cache.get("k") == 2

    await cache.invalidate_tags("t")
    assert not await cache.has("k")
    await cache.set("k", 3, tags=["t"])
    assert await cache.get("k") == 3
