"""Any calls at any time: the same answers as a model that keeps every admission it ever saw."""

import asyncio
from collections.abc import Coroutine
from datetime import timedelta
from fractions import Fraction
from typing import Any, TypeVar
from uuid import uuid4

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from rediscore.client import RedisConnections
from rediscore.keys import KeySpace
from rediscore.ratelimit import GCRA, RateLimiter, SlidingLog, SlidingWindow, Strategy
from rediscore.testing import patient_settings

T = TypeVar("T")

LOG = SlidingLog(5, timedelta(seconds=60), name="log")
WINDOW = SlidingWindow(6, timedelta(seconds=60), slices=12, name="window")
CELLS = GCRA(7, timedelta(seconds=60), burst=4, name="gcra")
DAY = SlidingWindow(9, timedelta(seconds=300), slices=20, name="long")
SETS = [(LOG,), (WINDOW,), (CELLS,), (LOG, CELLS, DAY), (WINDOW, DAY)]
SECOND = 1_000_000


class LimiterMachine(RuleBasedStateMachine):
    redis_url = ""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.connections = RedisConnections(patient_settings(self.redis_url))
        self.prefix = f"test-{uuid4().hex[:12]}"
        self.now = 1_800_000_000_000_000
        self.admitted: dict[str, list[tuple[int, int]]] = {"ada": [], "bob": []}

    def teardown(self) -> None:
        for key in self.run(self.keys()):
            assert 0 < self.run(self.connections.execute("PTTL", key)) <= 330_000
            self.run(self.connections.execute("UNLINK", key))
        self.run(self.connections.aclose())
        self.loop.close()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    @initialize(limits=st.sampled_from(SETS))
    def begin(self, limits: tuple[Strategy, ...]) -> None:
        self.limits = limits
        self.limiter = RateLimiter(
            self.connections,
            "model",
            *limits,
            keys=KeySpace(self.prefix),
            patience=timedelta(seconds=10),
            remember=timedelta(0),
            now_us=lambda: self.now,
        )

    def used(self, limit: Strategy, who: str, at: int) -> Fraction:
        """How much of the limit is taken at that moment."""
        admitted = self.admitted[who]
        _, _, per, width = limit.spec
        if isinstance(limit, SlidingLog):
            return Fraction(sum(cost for when, cost in admitted if when > at - per))
        if isinstance(limit, SlidingWindow):
            return Fraction(sum(cost for when, cost in admitted if (when // width + 1) * width > at - per))
        full_again = 0
        for when, cost in admitted:
            full_again = max(full_again, when) + cost * per
        return Fraction(max(0, full_again - at), per)

    def fits(self, limit: Strategy, who: str, cost: int, at: int) -> bool:
        return self.used(limit, who, at) + cost <= limit.spec[1]

    @rule(who=st.sampled_from(["ada", "bob"]), cost=st.sampled_from([1, 1, 1, 2, 4]), look=st.booleans())
    def hit(self, who: str, cost: int, look: bool) -> None:
        expected = all(self.fits(limit, who, cost, self.now) for limit in self.limits)
        if look:
            assert self.run(self.limiter.peek(who, cost)).allowed == expected
        answer = self.run(self.limiter.hit(who, cost))

        assert answer.allowed == expected
        if expected:
            self.admitted[who].append((self.now, cost))
        for limit, quota in zip(self.limits, answer.quotas, strict=True):
            assert quota.remaining == int(limit.spec[1] - self.used(limit, who, self.now))
            again = self.now + round(quota.reset_after * SECOND)
            assert self.used(limit, who, again) == 0
            assert again == self.now or self.used(limit, who, again - 1) > 0
        self.honest(who, cost, answer.retry_after)

    def honest(self, who: str, cost: int, retry_after: float) -> None:
        """A retry after it is admitted, a microsecond before it is not."""
        wait = round(retry_after * SECOND)
        if wait:
            after, before = self.now + wait, self.now + wait - 1
            assert all(self.fits(limit, who, cost, after) for limit in self.limits)
            assert not all(self.fits(limit, who, cost, before) for limit in self.limits)

    @rule(us=st.sampled_from([1, 10_000, SECOND, 5 * SECOND, 59_999_999, 60 * SECOND, 299 * SECOND]))
    def wait(self, us: int) -> None:
        self.now += us

    @rule(who=st.sampled_from(["ada", "bob"]), early=st.booleans())
    def wait_as_told(self, who: str, early: bool) -> None:
        wait = round(self.run(self.limiter.peek(who)).retry_after * SECOND)
        if wait:
            self.now += wait - early
            assert self.run(self.limiter.peek(who)).allowed != early

    @rule(who=st.sampled_from(["ada", "bob"]))
    def reset(self, who: str) -> None:
        self.run(self.limiter.reset(who))
        self.admitted[who] = []

    @invariant()
    def no_window_holds_more_than_its_limit(self) -> None:
        for limit in getattr(self, "limits", ()):
            for admitted in self.admitted.values():
                per = round(limit.per.total_seconds() * SECOND)
                for end, _ in admitted:
                    inside = sum(cost for when, cost in admitted if end - per < when <= end)
                    most = limit.spec[1] if not isinstance(limit, GCRA) else limit.limit + limit.spec[1]
                    assert inside <= most

    async def keys(self) -> list[bytes]:
        return [key async for key in self.connections.commands.scan_iter(f"{self.prefix}:*", count=1000)]


@pytest.mark.proves("R12", "RL1", "RL3", "RL4")
def test_answers_as_the_model_does(redis_url: str) -> None:
    LimiterMachine.redis_url = redis_url
    run_state_machine_as_test(
        LimiterMachine, settings=settings(max_examples=40, stateful_step_count=30, deadline=None)
    )
