"""Segments against dictionaries: any verbs in any order at any time, parts of any size."""

import asyncio
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from rediscore.client import RedisConnections
from rediscore.keys import KeySpace
from rediscore.requests import request_id
from rediscore.sets import Expression, Segments
from rediscore.testing import patient_settings

T = TypeVar("T")

NAMES = ["p", "q", "r"]
SOME = st.lists(st.sampled_from("abcdefg"), min_size=1, max_size=7, unique=True)
# What is left of them is nothing or long: the server, whose time goes on, must not expire a key by itself.
TTLS = st.sampled_from([60_000, 120_000, 600_000])
Tree = Any
"""The name of a segment, or (operator, tree, tree)."""
TREES: st.SearchStrategy[Tree] = st.recursive(
    st.sampled_from(NAMES), lambda trees: st.tuples(st.sampled_from("|&-"), trees, trees), max_leaves=5
)


class SegmentsMachine(RuleBasedStateMachine):
    loop: asyncio.AbstractEventLoop
    connections: RedisConnections
    prefix: str

    @initialize(part=st.sampled_from([1, 2, 3, 1000]))
    def open(self, part: int) -> None:
        self.now = 1_800_000_000_000
        self.segments = Segments(
            self.connections, request_id(), keys=KeySpace(self.prefix), part=part, now_ms=lambda: self.now
        )
        self.model: dict[str, dict[str, int]] = {name: {} for name in [*NAMES, "stored"]}

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    def living(self, name: str) -> set[str]:
        return {member for member, expiry in self.model[name].items() if expiry > self.now}

    def value(self, tree: Tree) -> tuple[Expression, set[str]]:
        if isinstance(tree, str):
            return self.segments[tree], self.living(tree)
        (left, lefts), (right, rights) = self.value(tree[1]), self.value(tree[2])
        if tree[0] == "|":
            return left | right, lefts | rights
        return (left & right, lefts & rights) if tree[0] == "&" else (left - right, lefts - rights)

    @rule(ms=st.sampled_from([30_000, 60_000]))
    def time_passes(self, ms: int) -> None:
        self.now += ms

    @rule(name=st.sampled_from(NAMES), members=SOME, ttl=TTLS, shorten=st.booleans())
    def add(self, name: str, members: list[str], ttl: int, shorten: bool) -> None:
        fresh = set(members) - self.living(name)
        for member in members:
            known = 0 if shorten else self.model[name].get(member, 0)
            self.model[name][member] = max(self.now + ttl, known)
        adding = self.segments[name].add(*members, ttl=timedelta(milliseconds=ttl), shorten=shorten)
        assert self.run(adding) == len(fresh)

    @rule(name=st.sampled_from(NAMES), members=SOME)
    def remove(self, name: str, members: list[str]) -> None:
        lived = self.living(name) & set(members)
        for member in members:
            self.model[name].pop(member, None)
        assert self.run(self.segments[name].remove(*members)) == len(lived)

    @rule(tree=TREES)
    def evaluate(self, tree: Tree) -> None:
        expression, members = self.value(tree)

        async def found() -> list[str]:
            return [member async for member in self.segments.members(expression)]

        assert sorted(self.run(found())) == sorted(members)
        assert self.run(self.segments.count(expression)) == len(members)

    @rule(tree=TREES, ttl=TTLS)
    def store(self, tree: Tree, ttl: int) -> None:
        expression, members = self.value(tree)
        self.model["stored"] = dict.fromkeys(members, self.now + ttl)
        storing = self.segments.store("stored", expression, timedelta(milliseconds=ttl))
        assert self.run(storing) == len(members)

    @invariant()
    def same_members(self) -> None:
        if not hasattr(self, "model"):
            return
        for name in self.model:
            members = self.segments.audience(name) if name == "stored" else self.segments[name]
            lives = self.living(name)
            assert self.run(members.count()) == len(lives)
            assert self.run(members.contains("a")) is ("a" in lives)


@pytest.mark.proves("R15", "LB4")
def test_segments_are_what_the_model_says(redis_url: str, key_prefix: str) -> None:
    loop = asyncio.new_event_loop()
    connections = RedisConnections(patient_settings(redis_url))
    machine = type(
        "Machine", (SegmentsMachine,), {"loop": loop, "connections": connections, "prefix": key_prefix}
    )
    try:
        run_state_machine_as_test(
            machine, settings=settings(max_examples=15, stateful_step_count=25, deadline=None)
        )
    finally:
        loop.run_until_complete(connections.aclose())
        loop.close()
