"""Any calls, ends and pauses in any order: the same as a model that keeps every call it ever saw."""

from datetime import timedelta
from random import Random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule
from rediscore.breaker import CircuitBreaker, CountWindow, Permit, State, TimeWindow
from rediscore.retry import Backoff
from rediscore.testing import ManualClock

pytestmark = pytest.mark.proves("R11", "CB1", "CB2", "CB3")

PROBES, SUCCESSES, PATIENCE, SLOW = 2, 3, 6.0, 4.0
MINIMUM, FAILURE_RATE, SLOW_RATE = 4, 0.5, 0.75
CALLS, SECONDS, BUCKETS = 8, 10, 5


class SteppedClock(ManualClock):
    def step(self, seconds: float) -> None:
        self._elapsed += seconds


class BreakerMachine(RuleBasedStateMachine):
    permits = Bundle("permits")

    @initialize(timed=st.booleans())
    def begin(self, timed: bool) -> None:
        self.clock = SteppedClock()
        self.timed = timed
        self.breaker = CircuitBreaker(
            "model",
            window=TimeWindow(timedelta(seconds=SECONDS), BUCKETS) if timed else CountWindow(CALLS),
            failure_rate=FAILURE_RATE,
            slow_after=timedelta(seconds=SLOW),
            slow_rate=SLOW_RATE,
            minimum_calls=MINIMUM,
            open_for=Backoff(2, 8, jitter=False),
            probes=PROBES,
            successes=SUCCESSES,
            half_open_patience=timedelta(seconds=PATIENCE),
            ignore=KeyError,
            clock=self.clock,
            random=Random(0),
        )
        self.state, self.epoch, self.openings, self.until = State.CLOSED, 0, 0, 0.0
        self.calls: list[tuple[float, bool, bool]] = []
        self.probes: dict[Permit, float] = {}
        self.succeeded = 0
        self.known: dict[Permit, list[tuple[int, float]]] = {}

    @property
    def now(self) -> float:
        return self.clock.monotonic()

    def go(self, state: State) -> None:
        self.state, self.epoch = state, self.epoch + 1
        self.calls, self.probes, self.succeeded = [], {}, 0
        if state is State.OPEN:
            self.openings += 1
            self.until = self.now + min(8.0, 2.0**self.openings)
        elif state is State.CLOSED:
            self.openings = 0

    @rule(target=permits)
    def acquire(self) -> tuple[Permit, int, float] | None:
        if self.state is State.OPEN and self.now >= self.until:
            self.go(State.HALF_OPEN)
        if len(self.probes) >= PROBES:
            self.probes = {probe: end for probe, end in self.probes.items() if end > self.now}
        admitted = self.state is State.CLOSED or (self.state is State.HALF_OPEN and len(self.probes) < PROBES)

        permit = self.breaker.try_acquire()

        assert (permit is not None) == admitted
        if permit is None:
            return None
        if self.state is State.HALF_OPEN:
            self.probes[permit] = self.now + PATIENCE
        return permit, self.epoch, self.now

    @rule(held=consumes(permits), error=st.sampled_from([None, OSError(), KeyError(), KeyboardInterrupt()]))
    def end(self, held: tuple[Permit, int, float] | None, error: BaseException | None) -> None:
        if held is None:
            return
        permit, epoch, begun = held
        if error is None:
            self.breaker.succeeded(permit)
        else:
            self.breaker.failed(permit, error)

        if epoch != self.epoch:
            return
        in_flight = self.probes.pop(permit, None)
        if isinstance(error, KeyError | KeyboardInterrupt):
            return
        failed, slow = error is not None, self.now - begun >= SLOW
        if self.state is State.CLOSED:
            self.calls.append((self.now, failed, slow))
            self.judge()
        elif in_flight is None:
            return
        elif failed or slow:
            self.go(State.OPEN)
        else:
            self.succeeded += 1
            if self.succeeded == SUCCESSES:
                self.go(State.CLOSED)

    def judge(self) -> None:
        width = SECONDS / BUCKETS
        calls = (
            [call for call in self.calls if int(call[0] / width) > int(self.now / width) - BUCKETS]
            if self.timed
            else self.calls[-CALLS:]
        )
        failed = sum(call[1] for call in calls)
        slow = sum(call[2] for call in calls)
        if len(calls) >= MINIMUM and (failed >= FAILURE_RATE * len(calls) or slow >= SLOW_RATE * len(calls)):
            self.go(State.OPEN)

    @rule(seconds=st.sampled_from([0.5, 1.5, 2.0, 5.0, 11.0]))
    def wait(self, seconds: float) -> None:
        self.clock.step(seconds)

    @rule()
    def reset(self) -> None:
        if self.state is not State.CLOSED:
            self.go(State.CLOSED)
        self.calls = []
        self.breaker.reset()

    @invariant()
    def agrees(self) -> None:
        if hasattr(self, "breaker"):
            assert self.breaker.state is self.state


TestModel = BreakerMachine.TestCase
TestModel.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)
