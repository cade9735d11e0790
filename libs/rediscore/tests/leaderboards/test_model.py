"""Boards against a sorted list: any verbs in any order, both directions, all kinds of ties."""

import asyncio
from collections.abc import Coroutine
from dataclasses import astuple
from typing import Any, ClassVar, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from rediscore.client import RedisConnections
from rediscore.keys import KeySpace
from rediscore.leaderboards import LARGEST_SCORE, Leaderboard, ScoreOutOfRange
from rediscore.requests import request_id
from rediscore.testing import patient_settings

T = TypeVar("T")

MEMBERS = ["", "a", "b c", ":d", "é", "last", "0000000000000001 x"]
ANYONE = st.sampled_from(MEMBERS)
SCORES = st.sampled_from([-1, 0, -0.0, 0.5, 1, 2, LARGEST_SCORE - 1, LARGEST_SCORE, -LARGEST_SCORE])


class BoardMachine(RuleBasedStateMachine):
    loop: ClassVar[asyncio.AbstractEventLoop]
    connections: ClassVar[RedisConnections]
    prefix: ClassVar[str]

    @initialize(
        better=st.sampled_from(["higher", "lower"]), ties=st.sampled_from(["first", "shared", "dense"])
    )
    def open(self, better: Any, ties: Any) -> None:
        self.sign = -1 if better == "higher" else 1
        self.ties = ties
        self.board = Leaderboard(
            self.connections, request_id(), keys=KeySpace(self.prefix), better=better, ties=ties
        )
        self.model: dict[str, tuple[float, int]] = {}  # score, arrival
        self.arrivals = 0

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    def arrive(self, member: str, score: float) -> None:
        if member not in self.model or self.model[member][0] != score:
            self.arrivals += 1
            self.model[member] = (score, self.arrivals)

    def standings(self) -> list[tuple[str, float, int]]:
        order = sorted(self.model, key=lambda m: (self.sign * self.model[m][0], self.model[m][1]))
        scores = [self.model[member][0] for member in order]
        distinct = list(dict.fromkeys(scores))
        ranks = {
            "first": range(1, len(order) + 1),
            "shared": [scores.index(score) + 1 for score in scores],
            "dense": [distinct.index(score) + 1 for score in scores],
        }[self.ties]
        return list(zip(order, scores, ranks, strict=True))

    @rule(member=ANYONE, score=SCORES, only_if_better=st.booleans())
    def submit(self, member: str, score: float, only_if_better: bool) -> None:
        known = self.model.get(member)
        if not (only_if_better and known is not None and self.sign * known[0] <= self.sign * score):
            self.arrive(member, score)
        standing = self.run(self.board.submit(member, score, only_if_better=only_if_better))
        assert astuple(standing) in self.standings()

    @rule(member=ANYONE, by=st.sampled_from([1, -1, 0, 0.5]))
    def increment(self, member: str, by: float) -> None:
        before = self.model[member][0] if member in self.model else 0
        score = before + by
        work = self.board.increment(member, by)
        if abs(score) > LARGEST_SCORE or (by and member in self.model and score == before):
            with pytest.raises(ScoreOutOfRange):
                self.run(work)
            return
        self.arrive(member, score)
        assert astuple(self.run(work)) in self.standings()

    @rule(member=ANYONE)
    def remove(self, member: str) -> None:
        assert self.run(self.board.remove(member)) is (self.model.pop(member, None) is not None)

    @rule(member=ANYONE, n=st.integers(0, 3))
    def around(self, member: str, n: int) -> None:
        standings = self.standings()
        places = [place for place, standing in enumerate(standings) if standing[0] == member]
        expected = standings[max(0, places[0] - n) : places[0] + n + 1] if places else []
        assert [astuple(standing) for standing in self.run(self.board.around(member, n))] == expected

    @invariant()
    def same_order_scores_and_ranks(self) -> None:
        if hasattr(self, "model"):
            assert [astuple(standing) for standing in self.run(self.board.top(100))] == self.standings()
            assert self.run(self.board.count()) == len(self.model)


@pytest.mark.proves("R14", "LB1", "LB2")
def test_boards_are_what_the_model_says(redis_url: str, key_prefix: str) -> None:
    loop = asyncio.new_event_loop()
    connections = RedisConnections(patient_settings(redis_url))
    machine = type(
        "Machine", (BoardMachine,), {"loop": loop, "connections": connections, "prefix": key_prefix}
    )
    try:
        run_state_machine_as_test(
            machine, settings=settings(max_examples=25, stateful_step_count=25, deadline=None)
        )
    finally:
        loop.run_until_complete(connections.aclose())
        loop.close()
