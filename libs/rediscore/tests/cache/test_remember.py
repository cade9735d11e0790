"""Get or compute: once, for everybody who waits, and for nobody who has gone."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from rediscore.cache import Cache, LoadCancelled, LoadTimeout
from rediscore.client import RedisConnections
from rediscore.testing import eventually

pytestmark = pytest.mark.proves("R3")

MakeCache = Callable[..., Cache[Any]]


@pytest.fixture
def long_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    """None runs out: one that is gone was given back."""
    monkeypatch.setattr("rediscore.cache.loading.LEASE_MS", 60_000)


class Gate:
    """A factory that waits to be let through."""

    def __init__(self, value: Any = "value") -> None:
        self.value = value
        self.open = asyncio.Event()
        self.calls = 0
        self.cancelled = 0

    async def __call__(self) -> Any:
        self.calls += 1
        value = self.value
        try:
            await self.open.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return value

    async def entered(self, times: int = 1) -> None:
        await eventually(lambda: self.calls >= times, what=f"{times} calls of the factory")


@pytest.mark.proves("C1")
async def test_two_hundred_callers_one_call(cache: Cache[Any], make_cache: MakeCache) -> None:
    gate, other = Gate(), make_cache()  # the other one is as good as another process
    callers = [asyncio.create_task(one.remember("k", gate)) for one in (cache, other) for _ in range(100)]
    await gate.entered()
    await asyncio.sleep(0.05)
    gate.open.set()

    assert await asyncio.gather(*callers) == ["value"] * 200
    assert gate.calls == 1


async def test_factories_of_every_kind(cache: Cache[Any]) -> None:
    async def coroutine() -> str:
        return "a"

    assert await cache.remember("a", coroutine) == "a"
    assert await cache.remember("b", lambda: "b") == "b"
    assert await cache.remember("c", lambda: asyncio.to_thread(lambda: "c")) == "c"
    assert await cache.get_many("abc") == {"a": "a", "b": "b", "c": "c"}


async def test_an_error_reaches_all_who_wait_and_is_not_kept(cache: Cache[Any]) -> None:
    started = asyncio.Event()
    calls = 0

    async def broken() -> str:
        nonlocal calls
        calls += 1
        await started.wait()
        raise LookupError("no such thing")

    callers = [asyncio.create_task(cache.remember("k", broken)) for _ in range(20)]
    await eventually(lambda: calls == 1)
    await asyncio.sleep(0.05)
    started.set()
    for outcome in await asyncio.gather(*callers, return_exceptions=True):
        assert isinstance(outcome, LookupError)
    assert calls == 1
    assert await cache.remember("k", lambda: "well") == "well"


@pytest.mark.proves("C9")
async def test_a_cancelled_caller_leaves_the_others_their_value(cache: Cache[Any]) -> None:
    gate = Gate()
    callers = [asyncio.create_task(cache.remember("k", gate)) for _ in range(10)]
    await gate.entered()
    await asyncio.sleep(0.05)
    for gone in callers[:9]:  # also the one whose call began it
        gone.cancel()
    await asyncio.sleep(0.01)
    gate.open.set()

    assert await callers[9] == "value"
    assert all([await asyncio.wait([gone]) and gone.cancelled() for gone in callers[:9]])
    assert (gate.calls, gate.cancelled) == (1, 0)
    assert await cache.get("k") == "value"


@pytest.mark.proves("C9")
async def test_a_caller_cancelled_while_it_reads_leaves_the_others_their_value(cache: Cache[Any]) -> None:
    await cache.set("k", "kept")
    for _ in range(100):
        callers = [asyncio.create_task(cache.remember("k", Gate())) for _ in range(3)]
        await asyncio.sleep(0)
        callers[0].cancel()
        assert await asyncio.gather(*callers[1:]) == ["kept", "kept"]


@pytest.mark.proves("C9")
async def test_when_all_have_gone_the_factory_is_cancelled_and_the_lease_given_back(
    cache: Cache[Any], connections: RedisConnections, key_prefix: str, long_leases: None
) -> None:
    gate = Gate()
    callers = [asyncio.create_task(cache.remember("k", gate)) for _ in range(3)]
    await gate.entered()
    await asyncio.sleep(0.05)
    for caller in callers:
        caller.cancel()
    await asyncio.wait(callers)
    await eventually(lambda: gate.cancelled == 1)

    async def free() -> bool:
        return not await connections.execute("EXISTS", f"{key_prefix}:v1:{{cache:things:0}}:e:k")

    await eventually(free, what="the lease is given back")


async def test_cancelling_at_any_moment_leaves_no_lease_behind(
    cache: Cache[Any], connections: RedisConnections, key_prefix: str, long_leases: None
) -> None:
    for round_ in range(60):
        caller = asyncio.create_task(cache.remember(f"k{round_}", Gate()))
        for _ in range(round_ % 20):
            await asyncio.sleep(0)
        await asyncio.sleep(round_ % 7 / 5000)
        caller.cancel()
        await asyncio.wait([caller])

    async def none_left() -> bool:
        return [key async for key in connections.scan_keys(f"{key_prefix}:*:e:*")] == []

    await eventually(none_left, what="no leases")


async def test_a_factory_that_cancels_itself_is_an_error_for_others(cache: Cache[Any]) -> None:
    async def strange() -> str:
        raise asyncio.CancelledError

    with pytest.raises(LoadCancelled):
        await cache.remember("k", strange)


async def test_closing_ends_what_is_under_way(cache: Cache[Any]) -> None:
    gate = Gate()
    caller = asyncio.create_task(cache.remember("k", gate))
    await gate.entered()
    await cache.aclose()
    with pytest.raises(LoadCancelled):
        await caller
    assert gate.cancelled == 1


async def test_the_hard_timeout_bounds_factory_and_callers(make_cache: MakeCache) -> None:
    cache, other = (make_cache(hard_timeout=timedelta(seconds=0.3)) for _ in range(2))
    gate = Gate()
    callers = [asyncio.create_task(one.remember("k", gate)) for one in (cache, other, cache)]
    outcomes = await asyncio.wait_for(asyncio.gather(*callers, return_exceptions=True), 5)
    assert all(isinstance(outcome, LoadTimeout) for outcome in outcomes)
    assert gate.calls == gate.cancelled


@pytest.mark.proves("C2")
@pytest.mark.parametrize("how", ["delete", "set", "tag", "other"])
async def test_who_asks_after_a_change_does_not_get_what_was_computed_before(
    cache: Cache[Any], make_cache: MakeCache, how: str
) -> None:
    old, new = Gate("old"), Gate("new")
    new.open.set()
    early = asyncio.create_task(cache.remember("k", old, tags=["t"]))
    await old.entered()
    if how == "delete":
        await cache.delete("k")
    elif how == "set":
        await cache.set("k", "new")
    elif how == "tag":
        await cache.invalidate_tags("t")
    else:
        await make_cache().delete("k")
    late = asyncio.create_task(cache.remember("k", new, tags=["t"]))
    await asyncio.sleep(0.05)
    old.open.set()

    assert await early == "old"  # it asked before
    assert await late == "new"
    assert await cache.get("k") == "new"


@pytest.mark.proves("C2")
async def test_who_asks_while_the_answer_to_the_fill_is_on_its_way_is_no_earlier_caller(
    cache: Cache[Any], make_cache: MakeCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stored, then invalidated by another process; only then does the first one hear that it is stored."""
    old, new = Gate("old"), Gate("new")
    old.open.set()
    new.open.set()
    stored, heard = asyncio.Event(), asyncio.Event()
    fill = cache._storage.fill

    async def slowly(*args: Any) -> bool:
        done = await fill(*args)
        stored.set()
        await heard.wait()
        return done

    monkeypatch.setattr(cache._storage, "fill", slowly)
    early = asyncio.create_task(cache.remember("k", old, tags=["t"]))
    await stored.wait()
    await make_cache().invalidate_tags("t")
    monkeypatch.setattr(cache._storage, "fill", fill)
    late = asyncio.create_task(cache.remember("k", new, tags=["t"]))
    await asyncio.sleep(0.05)
    heard.set()

    assert await early == "old"
    assert await late == "new"


@pytest.mark.proves("C6")
async def test_none_has_a_ttl_of_its_own(make_cache: MakeCache, age: Any) -> None:
    gate = Gate(None)
    gate.open.set()
    cache = make_cache(negative_ttl=timedelta(seconds=5))
    for _ in range(3):
        assert await cache.remember("k", gate) is None
    assert gate.calls == 1
    await age(6)
    assert await cache.remember("k", gate) is None
    assert gate.calls == 2

    unkept = make_cache("unkept", negative_ttl=timedelta(0))
    for _ in range(3):
        assert await unkept.remember("k", gate) is None
    assert gate.calls == 5


async def test_what_cannot_be_written_is_the_callers_error(make_cache: MakeCache) -> None:
    cache = make_cache(model=int)
    with pytest.raises(TypeError):
        await cache.remember("k", object)
    assert await cache.remember("k", lambda: 1) == 1
