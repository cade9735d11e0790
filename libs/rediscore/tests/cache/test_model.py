"""The cache against a model of it: any verbs of two processes, in any order, at any time.

The model is a dictionary and a clock. Time passes in Redis by taking it from the TTLs.
"""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from rediscore.cache import Cache, NotANumber
from rediscore.client import RedisConnections
from rediscore.keys import KeySpace
from rediscore.testing import patient_settings

T = TypeVar("T")

KEYS = ["a", "ab", "b*"]
TAGS = ["t", "u"]
TTL, NEGATIVE = 25, 5
ABSENT = object()

keys = st.sampled_from(KEYS)
values = st.sampled_from([None, 0, 7, "", "text", [1]])
ttls = st.sampled_from([None, 15, 35])
tags = st.lists(st.sampled_from(TAGS), unique=True)


@dataclass
class Entry:
    """What the model knows of one key."""

    value: Any
    end: float
    tags: frozenset[str]
    void: bool = False
    throttled: bool = False


class CacheMachine(RuleBasedStateMachine):
    """Every step is done to the cache and to the model; then both must show the same."""

    loop: asyncio.AbstractEventLoop
    connections: RedisConnections
    prefix: str
    examples = 0

    def __init__(self) -> None:
        super().__init__()
        type(self).examples += 1
        self.now = 0.0
        self.held: dict[str, Entry] = {}

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    @initialize(grace=st.sampled_from([0, 20]), shards=st.sampled_from([1, 2]))
    def begin(self, grace: int, shards: int) -> None:
        self.grace = grace
        name = f"c{self.examples}"
        options: dict[str, Any] = {
            "keys": KeySpace(self.prefix),
            "ttl": timedelta(seconds=TTL),
            "negative_ttl": timedelta(seconds=NEGATIVE),
            "fail_safe": timedelta(seconds=grace) if grace else None,
            "fail_safe_throttle": timedelta(hours=1),
            "patience": timedelta(seconds=5),
            "shards": shards,
        }
        self.caches: list[Cache[Any]] = [Cache(self.connections, name, **options) for _ in range(2)]
        self.neighbour: Cache[Any] = Cache(self.connections, f"{name}x", **options)
        self.run(self.neighbour.forever("a", "mine", tags=TAGS))
        self.bases = [KeySpace(self.prefix).key(tag=f"cache:{name}:{shard}") for shard in range(shards)]

    def teardown(self) -> None:
        for cache in (*self.caches, self.neighbour):
            self.run(cache.aclose())

    def cache(self, at: int) -> Cache[Any]:
        return self.caches[at]

    def kept(self, key: str) -> Entry | None:
        entry = self.held.get(key)
        return entry if entry and not entry.void and self.now < entry.end + self.grace else None

    def fresh(self, key: str) -> Entry | None:
        entry = self.kept(key)
        return entry if entry and self.now < entry.end else None

    def write(self, key: str, value: Any, ttl: float | None, tags: list[str]) -> None:
        usual = NEGATIVE if value is None else TTL
        self.held[key] = Entry(value, self.now + (ttl or usual), frozenset(tags))

    @rule(at=st.integers(0, 1), key=keys, value=values, ttl=ttls, tags=tags)
    def set(self, at: int, key: str, value: Any, ttl: int | None, tags: list[str]) -> None:
        self.run(self.cache(at).set(key, value, ttl=_seconds(ttl), tags=tags))
        self.write(key, value, ttl, tags)

    @rule(at=st.integers(0, 1), some=st.dictionaries(keys, values), tags=tags)
    def set_many(self, at: int, some: dict[str, Any], tags: list[str]) -> None:
        self.run(self.cache(at).set_many(some, tags=tags))
        for key, value in some.items():
            self.write(key, value, None, tags)

    @rule(at=st.integers(0, 1), key=keys, value=values, tags=tags)
    def forever(self, at: int, key: str, value: Any, tags: list[str]) -> None:
        self.run(self.cache(at).forever(key, value, tags=tags))
        self.held[key] = Entry(value, float("inf"), frozenset(tags))

    @rule(at=st.integers(0, 1), key=keys, value=values, ttl=ttls, tags=tags)
    def add(self, at: int, key: str, value: Any, ttl: int | None, tags: list[str]) -> None:
        absent = self.fresh(key) is None
        assert self.run(self.cache(at).add(key, value, ttl=_seconds(ttl), tags=tags)) is absent
        if absent:
            self.write(key, value, ttl, tags)

    @rule(at=st.integers(0, 1), key=keys, by=st.sampled_from([1, -3]))
    def increment(self, at: int, key: str, by: int) -> None:
        entry = self.fresh(key)
        work = self.cache(at).increment(key, by)
        if entry is None:
            assert self.run(work) == by
            self.write(key, by, None, [])
        elif isinstance(entry.value, int):
            entry.value += by
            assert self.run(work) == entry.value
        else:
            with pytest.raises(NotANumber):
                self.run(work)

    @rule(at=st.integers(0, 1), key=keys, ttl=ttls)
    def touch(self, at: int, key: str, ttl: int | None) -> None:
        entry = self.fresh(key)
        assert self.run(self.cache(at).touch(key, ttl=_seconds(ttl))) is (entry is not None)
        if entry is not None:
            entry.end = self.now + (ttl or TTL)

    @rule(at=st.integers(0, 1), key=keys)
    def pull(self, at: int, key: str) -> None:
        entry = self.fresh(key)
        assert self.run(self.cache(at).pull(key, ABSENT)) == (entry.value if entry else ABSENT)
        self.held.pop(key, None)

    @rule(at=st.integers(0, 1), some=st.lists(keys))
    def delete(self, at: int, some: list[str]) -> None:
        self.run(self.cache(at).delete(*some))
        for key in some:
            self.held.pop(key, None)

    @rule(at=st.integers(0, 1), prefix=st.sampled_from(["", "a", "ab", "b*", "*"]))
    def delete_prefix(self, at: int, prefix: str) -> None:
        self.run(self.cache(at).delete_prefix(prefix))
        self.held = {key: entry for key, entry in self.held.items() if not key.startswith(prefix)}

    @rule(at=st.integers(0, 1), tags=tags)
    def invalidate(self, at: int, tags: list[str]) -> None:
        self.run(self.cache(at).invalidate_tags(*tags))
        for entry in self.held.values():
            entry.void = entry.void or bool(entry.tags & set(tags))

    @rule()
    def lose_the_marks(self) -> None:
        for base in self.bases:
            self.run(self.connections.execute("DEL", f"{base}:marks"))
        for entry in self.held.values():
            entry.void = entry.void or bool(entry.tags)

    @rule(at=st.integers(0, 1), key=keys, value=values, tags=tags, works=st.booleans())
    def remember(self, at: int, key: str, value: Any, tags: list[str], works: bool) -> None:
        async def factory() -> Any:
            if not works:
                raise LookupError
            return value

        work = self.cache(at).remember(key, factory, tags=tags)
        entry = self.kept(key)
        if entry is not None and (self.now < entry.end or entry.throttled):
            assert self.run(work) == entry.value
        elif works:
            assert self.run(work) == value
            self.write(key, value, None, tags)
        elif entry is not None:
            assert self.run(work) == entry.value
            entry.throttled = True
        else:
            with pytest.raises(LookupError):
                self.run(work)
            self.held.pop(key, None)

    @rule()
    def time_passes(self) -> None:
        self.now += 10
        self.run(self.take_from_ttls(10_000))

    async def take_from_ttls(self, ms: int) -> None:
        for base in self.bases:
            for key in KEYS:
                left = await self.connections.execute("PTTL", f"{base}:e:{key}")
                if left >= 0:
                    await self.connections.execute("PEXPIRE", f"{base}:e:{key}", left - ms)

    @invariant()
    def shows_the_same(self) -> None:
        if not hasattr(self, "caches"):
            return
        fresh = {key: entry.value for key in KEYS if (entry := self.fresh(key))}
        for cache in self.caches:
            assert self.run(cache.get_many(KEYS)) == fresh
            for key in KEYS:
                assert self.run(cache.get(key, ABSENT)) == fresh.get(key, ABSENT)
        assert self.run(self.neighbour.get("a")) == "mine"


def _seconds(ttl: int | None) -> timedelta | None:
    return None if ttl is None else timedelta(seconds=ttl)


@pytest.mark.proves("R2", "R3", "R5", "R6")
def test_any_verbs_in_any_order(redis_url: str, key_prefix: str) -> None:
    loop = asyncio.new_event_loop()
    connections = RedisConnections(patient_settings(redis_url))
    machine = type(
        "Machine", (CacheMachine,), {"loop": loop, "connections": connections, "prefix": key_prefix}
    )
    try:
        run_state_machine_as_test(
            machine, settings=settings(max_examples=15, stateful_step_count=40, deadline=None)
        )
    finally:
        loop.run_until_complete(connections.aclose())
        loop.close()
