"""The decorator: one entry per call, and invalidation that really deletes."""

import asyncio
import gc
import threading
import weakref
from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel
from rediscore.cache import Cache, Local
from rediscore.cache.decorator import cached
from rediscore.client import RedisConnections
from rediscore.keys import KeySpace

MINUTE = timedelta(minutes=1)


class Profile(BaseModel, frozen=True):
    id: int
    org: str = "pizzeria"


@pytest.fixture
def cache(connections: RedisConnections, key_prefix: str) -> Cache[Any]:
    return Cache(connections, "calls", keys=KeySpace(key_prefix), ttl=MINUTE)


@pytest.fixture
def elsewhere(other: RedisConnections, key_prefix: str) -> Cache[Any]:
    """The same cache in another process."""
    return Cache(other, "calls", keys=KeySpace(key_prefix), ttl=MINUTE)


@pytest.mark.proves("R4")
async def test_the_same_arguments_are_one_entry_however_they_are_written(
    cache: Cache[Any],
) -> None:
    calls = []

    @cached(cache)
    async def price(pizza: str, size: str = "L", *, extra: bool = False) -> list[Any]:
        """What it costs."""
        calls.append((pizza, size, extra))
        return [pizza, size, extra]

    assert price.__name__ == "price"
    assert price.__doc__ == "What it costs."
    for _ in range(2):
        assert await price("m") == ["m", "L", False]
        assert await price("m", "L") == await price(pizza="m", size="L") == await price(size="L", pizza="m")
        assert await price("m", "S") == ["m", "S", False]
        assert await price("m", extra=True) == ["m", "L", True]
    assert calls == [("m", "L", False), ("m", "S", False), ("m", "L", True)]
    assert price.key("m") == price.key(pizza="m", size="L")
    assert len({price.key("m"), price.key("1"), price.key("m", "1"), price.key("m", extra=True)}) == 4
    with pytest.raises(TypeError, match="pizza"):
        await price()  # type: ignore[call-arg]


@pytest.mark.proves("R4", "R3")
async def test_concurrent_calls_run_the_function_once_and_none_is_a_result(cache: Cache[Any]) -> None:
    calls = 0

    @cached(cache, "slow:{a}")
    async def slow(a: int) -> None:
        nonlocal calls
        calls += 1
        await asyncio.sleep(0.05)

    assert await asyncio.gather(*(slow(1) for _ in range(50))) == [None] * 50
    assert await slow(1) is None
    assert calls == 1


@pytest.mark.proves("R4")
async def test_objects_share_the_entries_and_self_is_no_part_of_the_key(cache: Cache[Any]) -> None:
    calls = 0

    class Profiles:
        def __init__(self, region: str) -> None:
            self.region = region

        @cached(cache)
        async def load(self, profile_id: int) -> int:
            nonlocal calls
            calls += 1
            return profile_id

        @cached(cache, "in:{self.region}:{profile_id}")
        async def inside(self, profile_id: int) -> str:
            return self.region

        @classmethod
        @cached(cache)
        async def of_class(cls, profile_id: int) -> str:
            return cls.__name__

    one, two = Profiles("it"), Profiles("de")
    assert await one.load(7) == await two.load(profile_id=7) == 7
    assert calls == 1
    assert one.load.key(7) == two.load.key(7)
    await two.load.invalidate(7)
    assert await one.load(7) == 7
    assert calls == 2
    assert [await one.inside(1), await two.inside(1)] == ["it", "de"]  # asked for by name
    assert await Profiles.of_class(1) == "Profiles"  # type: ignore[call-arg,arg-type] # classmethod is opaque


@pytest.mark.proves("R4")
async def test_one_call_is_invalidated_and_no_other(cache: Cache[Any], elsewhere: Cache[Any]) -> None:
    versions = {1: 0, 2: 0}

    @cached(cache, "profile:{user.id}")
    async def profile(user: Profile) -> int:
        versions[user.id] += 1
        return versions[user.id]

    one, two = Profile(id=1), Profile(id=2)
    assert profile.key(one) == "profile:1"
    assert [await profile(one), await profile(two), await profile(one)] == [1, 1, 1]
    assert await elsewhere.get("profile:1") == 1
    await profile.invalidate(one)
    assert await elsewhere.get("profile:1") is None, "it is really gone"
    assert [await profile(one), await profile(two)] == [2, 1]
    assert await profile.refresh(two) == 2
    assert await elsewhere.get("profile:2") == 2
    await elsewhere.set("profile:2", 99)
    assert await profile(two) == 99


@pytest.mark.proves("R4", "R5")
async def test_all_calls_of_one_function_are_invalidated_in_every_process(
    cache: Cache[Any], elsewhere: Cache[Any], connections: RedisConnections, key_prefix: str
) -> None:
    def decorate(where: Cache[Any], version: str) -> Any:
        @cached(where)
        async def menu(page: int) -> str:
            return f"{version}{page}"

        @cached(where, "other:{page}")
        async def other(page: int) -> str:
            return f"{version}{page}"

        return menu, other

    (here, other_here), (there, _) = decorate(cache, "a"), decorate(elsewhere, "b")
    assert [await here(page) for page in range(3)] == ["a0", "a1", "a2"]
    assert [await there(page) for page in range(4)] == ["a0", "a1", "a2", "b3"], "one cache"
    assert await other_here(1) == "a1"
    await there.invalidate_all()
    assert [await there(page) for page in range(2)] == ["b0", "b1"]
    assert [await here(page) for page in range(4)] == ["b0", "b1", "a2", "a3"]
    assert await other_here(1) == "a1"


@pytest.mark.proves("R4", "R5")
async def test_tags_are_made_from_the_arguments(cache: Cache[Any]) -> None:
    calls = []

    @cached(cache, "by-org:{user.id}", tags=["org:{user.org}", "profiles"])
    async def profile(user: Profile) -> int:
        calls.append(user.id)
        return user.id

    users = [Profile(id=1, org="a"), Profile(id=2, org="b")]
    for tag, again in (("org:a", [1]), ("org:c", []), ("profiles", [1, 2])):
        for user in users:
            await profile(user)
        calls.clear()
        await cache.invalidate_tags(tag)
        for user in users:
            await profile(user)
        assert calls == again


@pytest.mark.proves("R4", "C2")
async def test_a_computation_that_began_before_the_invalidation_is_not_kept(cache: Cache[Any]) -> None:
    source, go, begun = ["old"], asyncio.Event(), asyncio.Event()

    @cached(cache)
    async def load() -> str:
        value = source[0]
        begun.set()
        await go.wait()
        return value

    for invalidate in (load.invalidate, load.invalidate_all):
        source[0], go, begun = "old", asyncio.Event(), asyncio.Event()
        early = asyncio.create_task(load())
        await begun.wait()
        source[0] = "new"
        await invalidate()
        go.set()
        assert await early == "old"
        assert await load() == "new"
        await load.invalidate()


@pytest.mark.proves("R4")
async def test_a_blocking_function_runs_in_a_thread_when_asked_for(cache: Cache[Any]) -> None:
    @cached(cache, in_thread=True)
    def thread() -> bool:
        return threading.current_thread() is threading.main_thread()

    assert await thread() is False
    with pytest.raises(TypeError, match="in_thread"):

        @cached(cache)  # type: ignore[arg-type]
        def blocking() -> None: ...


@pytest.mark.proves("R4")
async def test_functions_that_could_share_a_key_are_refused_at_decoration(cache: Cache[Any]) -> None:
    async def one(a: int) -> int:
        return a

    async def two(b: int) -> int:
        return b

    cached(cache, "x:{a}")(one)
    with pytest.raises(ValueError, match="may give the same key"):
        cached(cache, "x:{b}")(two)
    with pytest.raises(ValueError, match="already"):
        cached(cache)(one)
    with pytest.raises(ValueError, match="begin with @"):
        cached(cache, "@x:{b}")(two)
    with pytest.raises(ValueError, match="no parameter"):
        cached(cache, "y:{c}")(two)
    with pytest.raises(ValueError, match="no parameter"):
        cached(cache, "y:{b}", tags=["z:{c}"])(two)
    cached(cache)(two)


@pytest.mark.proves("R4")
async def test_a_cache_that_nobody_uses_any_more_is_forgotten(
    connections: RedisConnections, key_prefix: str
) -> None:
    short: Cache[int] = Cache(connections, "short", keys=KeySpace(key_prefix), ttl=MINUTE)

    @cached(short)
    async def one() -> int:
        return 1

    assert await one() == 1
    gone = weakref.ref(short)
    await short.aclose()
    del short, one
    gc.collect()
    assert gone() is None


@pytest.mark.proves("R4", "R7")
async def test_a_hit_in_this_process_asks_nobody(connections: RedisConnections, key_prefix: str) -> None:
    local: Cache[int] = Cache(connections, "near", keys=KeySpace(key_prefix), ttl=MINUTE, local=Local())

    @cached(local, "twice:{a}")
    async def twice(a: int) -> int:
        return 2 * a

    try:
        async with asyncio.timeout(10):
            while not local._counts["local_hit"]:
                assert await twice(3) == 6
                await asyncio.sleep(0.01)
        before = await commands(connections)
        for _ in range(100):
            assert await twice(3) == 6
        assert await commands(connections) - before < 20, "heartbeats and others, but not one per call"
    finally:
        await local.aclose()


async def commands(connections: RedisConnections) -> int:
    """Commands that this client's server has run."""
    lines = (await connections.execute("INFO", "stats")).decode().splitlines()
    return int(next(line for line in lines if line.startswith("total_commands_processed:")).split(":")[1])
