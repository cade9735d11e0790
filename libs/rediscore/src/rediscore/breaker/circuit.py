"""The state machine of a breaker: closed, open, half-open. No I/O, no waiting, no exceptions of others."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from random import Random
from typing import Final

from rediscore.breaker.windows import FAILED, OK, SLOW, CountWindow, TimeWindow, ring_of
from rediscore.retry import Backoff

PROBE_HINT: Final = 1.0
"""Seconds after which to ask again while all probes are in flight: their end is not known."""


class State(Enum):
    """Of a circuit; the number is what the gauge shows."""

    CLOSED = 0
    HALF_OPEN = 1
    OPEN = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """When a circuit opens and how it closes again; see `CircuitBreaker`."""

    window: CountWindow | TimeWindow
    failure_rate: float | None
    failures: int | None
    slow_after: float | None
    slow_rate: float | None
    minimum_calls: int
    open_for: timedelta | Backoff
    probes: int
    successes: int
    half_open_patience: float

    def __post_init__(self) -> None:
        for rate in (self.failure_rate, self.slow_rate):
            if rate is not None and not 0 < rate <= 1:
                raise ValueError("A rate is a share of calls: above 0, at most 1.")
        if (self.slow_after is None) != (self.slow_rate is None):
            raise ValueError("slow_after says what is slow, slow_rate how much of it opens: give both.")
        if self.failures is not None and self.failures < 1:
            raise ValueError("A circuit opens after at least one failure.")
        if min(self.minimum_calls, self.probes, self.successes) < 1 or self.half_open_patience <= 0:
            raise ValueError("minimum_calls, probes, successes and half_open_patience must be above 0.")
        if isinstance(self.open_for, timedelta) and self.open_for <= timedelta(0):
            raise ValueError("open_for must be above 0.")
        if isinstance(self.window, CountWindow):
            rated = self.failure_rate is not None or self.slow_rate is not None
            needed = max(self.failures or 1, self.minimum_calls if rated else 1)
            if needed > self.window.calls:
                raise ValueError(
                    f"A window of {self.window.calls} calls never holds {needed}: the circuit could not open."
                )

    def pause(self, opening: int, random: Random | None) -> float:
        """Seconds that the circuit stays open the `opening`-th time in a row."""
        if isinstance(self.open_for, Backoff):
            return self.open_for.delay(opening, random)
        return self.open_for.total_seconds()


class Permit:
    """Leave to make one call. While a circuit is closed and time does not matter, all calls share one."""

    __slots__ = ("begun", "epoch", "lease", "probe")

    def __init__(self, epoch: int, begun: float = 0.0, probe: bool = False) -> None:
        self.epoch = epoch
        self.begun = begun
        self.probe = probe
        self.lease: str | None = None
        """Of a probe that is leased for all processes."""


class Circuit:
    """Counts the ends of calls and says whether the next may go.

    An end counts only in the state in which the call began: what was under way when the circuit opened
    neither keeps it open nor counts as a probe.
    """

    __slots__ = (
        "_changed",
        "_closed",
        "_forced",
        "_now",
        "_policy",
        "_probes",
        "_random",
        "_ring",
        "_slow_after",
        "_succeeded",
        "_until",
        "epoch",
        "openings",
        "since",
        "state",
    )

    def __init__(
        self,
        policy: Policy,
        *,
        now: Callable[[], float],
        random: Random | None,
        changed: Callable[[State, State, str], None],
    ) -> None:
        self.state = State.CLOSED
        self.epoch = 0
        self.openings = 0
        """How many times in a row it has opened."""
        self.since = now()
        """When it came into its state."""
        self._policy = policy
        self._slow_after = policy.slow_after
        self._now = now
        self._random = random
        self._changed = changed
        self._ring = ring_of(policy.window, now)
        self._closed: Permit | None = Permit(0)
        self._probes: dict[Permit, float] = {}
        self._succeeded = 0
        self._until = 0.0
        self._forced = False

    def try_acquire(self) -> Permit | None:
        """Leave for one call, or None: it must not be made. Each permit ends in `succeed`, `fail` or
        `release`."""
        permit = self._closed
        if permit is not None:
            return permit if self._slow_after is None else Permit(permit.epoch, self._now())
        now = self._now()
        if self.state is State.OPEN:
            if now < self._until:
                return None
            self._move(State.HALF_OPEN, "the pause is over")
        probes = self._probes
        if len(probes) >= self._policy.probes:
            for late in [permit for permit, patience in probes.items() if patience <= now]:
                del probes[late]
            if len(probes) >= self._policy.probes:
                return None
        permit = Permit(self.epoch, now, probe=True)
        probes[permit] = now + self._policy.half_open_patience
        return permit

    def succeed(self, permit: Permit) -> None:
        """The call ended well."""
        if permit is self._closed:
            ring = self._ring
            ring.add(OK)
            if ring.failed:
                self._check()
        else:
            self._settle(permit, OK)

    def fail(self, permit: Permit) -> None:
        """The call failed."""
        self._settle(permit, FAILED)

    def release(self, permit: Permit) -> None:
        """The call says nothing about the other side (refused by it for good reasons, cancelled)."""
        if permit.probe:
            self._probes.pop(permit, None)

    @property
    def forced(self) -> bool:
        """Whether an operator decided the state."""
        return self._forced

    @property
    def retry_after(self) -> float:
        """Seconds until a call may be let through."""
        if self.state is State.OPEN:
            return max(0.0, self._until - self._now())
        if self.state is State.HALF_OPEN and len(self._probes) >= self._policy.probes:
            return min(PROBE_HINT, max(0.0, min(self._probes.values()) - self._now()))
        return 0.0

    def open(self, reason: str, *, pause: float | None = None, openings: int | None = None) -> None:
        """Open for `pause` seconds, by default for as long as the policy says; also when open already."""
        self.openings = self.openings + 1 if openings is None else openings
        if pause is None:
            pause = self._policy.pause(self.openings, self._random)
        self._until = self._now() + pause
        self._move(State.OPEN, reason)

    def close(self, reason: str) -> None:
        """Close and count from nothing; no effect when closed."""
        if self.state is not State.CLOSED:
            self.openings = 0
            self._ring.clear()
            self._move(State.CLOSED, reason)

    def force(self, state: State) -> None:
        """Open or closed until `reset`, whatever happens."""
        self._forced = True
        if state is State.OPEN:
            self.open("forced", pause=float("inf"))
        else:
            self.close("forced")

    def reset(self) -> None:
        """Closed, not forced, nothing counted."""
        self._forced = False
        self._ring.clear()
        self.close("reset")

    def _settle(self, permit: Permit, outcome: int) -> None:
        if permit.epoch != self.epoch:
            return
        if self._slow_after is not None and self._now() - permit.begun >= self._slow_after:
            outcome |= SLOW
        if not permit.probe:
            self._ring.add(outcome)
            self._check()
        elif self._probes.pop(permit, None) is None:
            return  # it was given up and replaced
        elif outcome:
            self.open("a probe failed" if outcome & FAILED else "a probe was slow")
        else:
            self._succeeded += 1
            if self._succeeded >= self._policy.successes:
                self.close("the probes succeeded")

    def _check(self) -> None:
        if self._forced:
            return
        ring, policy = self._ring, self._policy
        total = ring.total
        if policy.failures is not None and ring.failed >= policy.failures:
            self.open(f"{ring.failed} failures")
        elif total < policy.minimum_calls:
            return
        elif policy.failure_rate is not None and ring.failed >= policy.failure_rate * total:
            self.open(f"{ring.failed} of {total} calls failed")
        elif policy.slow_rate is not None and ring.slow >= policy.slow_rate * total:
            self.open(f"{ring.slow} of {total} calls were slow")

    def _move(self, state: State, reason: str) -> None:
        before, self.state = self.state, state
        if before is state:
            return
        self.epoch += 1
        self.since = self._now()
        self._closed = Permit(self.epoch) if state is State.CLOSED else None
        self._probes.clear()
        self._succeeded = 0
        self._changed(before, state, reason)
