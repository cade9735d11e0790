"""Circuit breaker: stop calling what keeps failing, and find out carefully when it is back."""

import functools
import inspect
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from random import Random
from typing import Any, Final, ParamSpec, Self, TypeVar

from rediscore.breaker.circuit import Circuit, Permit, Policy, State
from rediscore.breaker.errors import CircuitOpen
from rediscore.breaker.shared import SharedBreakers
from rediscore.breaker.windows import CountWindow, TimeWindow
from rediscore.clock import Clock
from rediscore.metrics import Metrics, meter_of
from rediscore.retry import Backoff

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

Matcher = type[BaseException] | tuple[type[BaseException], ...] | Callable[[BaseException], bool]
Fallback = Callable[[Exception], T | Awaitable[T]]

RATE: Final = 0.5


@dataclass(frozen=True, slots=True)
class Transition:
    """A breaker has changed its state."""

    name: str
    before: State
    after: State
    reason: str


class CircuitBreaker:
    """Guards calls to one dependency: `async with breaker:`, `await breaker.call(f, ...)` or `@breaker`.

    Closed, calls go through and their ends are counted over `window`. Open, they raise CircuitOpen at
    once. After `open_for` it is half-open: at most `probes` calls are in flight, `successes` of them close
    it, one that fails or is slow opens it again. An end counts only in the state its call began in.

    Cancelled and ignored calls count for nothing. So a time limit belongs inside: around the breaker it
    cancels the call, and a dependency that hangs is never noticed.

    A closed circuit costs no round trip and no lock; with `shared`, an opening one costs one (see
    `SharedBreakers`). One event loop.

    Args:
        name: of the dependency, unique in the process; with `shared`, among all of them.
        window: which calls count: the last N, or those of the last seconds.
        failure_rate: share of failed calls that opens it; 0.5 unless `failures` is given.
        failures: number of failed calls in the window that opens it, at once.
        slow_after: a call is slow when it takes as long, whether it fails or not.
        slow_rate: share of slow calls that opens it.
        minimum_calls: no rate says anything before so many calls are in the window.
        open_for: how long it stays open; a Backoff grows with every opening in a row.
        probes: calls in flight at most while half-open.
        successes: successful probes that close it; as many as `probes` unless given.
        half_open_patience: a probe that takes longer is given up: another may go, its end does not count.
        record: which errors are failures: types, or a predicate.
        ignore: which of these say nothing about the dependency ("no such order"); wins over `record`.
        record_result: which results are failures, e.g. an answer 503; for `call` and `@breaker`.
        shared: where to share openings with other processes.
        listeners: called with each Transition, in the event loop; must not block.

    Raises: ValueError for options that contradict each other.
    """

    __slots__ = (
        "_circuit",
        "_counts",
        "_entered",
        "_ignore",
        "_listeners",
        "_record",
        "_record_result",
        "_shared",
        "name",
    )

    def __init__(
        self,
        name: str,
        *,
        window: CountWindow | TimeWindow = CountWindow(100),  # noqa: B008  frozen
        failure_rate: float | None = None,
        failures: int | None = None,
        slow_after: timedelta | None = None,
        slow_rate: float | None = None,
        minimum_calls: int = 20,
        open_for: timedelta | Backoff = timedelta(seconds=30),
        probes: int = 3,
        successes: int | None = None,
        half_open_patience: timedelta = timedelta(seconds=10),
        record: Matcher = Exception,
        ignore: Matcher = (),
        record_result: Callable[[Any], bool] | None = None,
        shared: SharedBreakers | None = None,
        listeners: Sequence[Callable[[Transition], None]] = (),
        metrics: Metrics | None = None,
        clock: Clock | None = None,
        random: Random | None = None,
    ) -> None:
        policy = Policy(
            window=window,
            failure_rate=RATE if failure_rate is None and failures is None else failure_rate,
            failures=failures,
            slow_after=None if slow_after is None else slow_after.total_seconds(),
            slow_rate=slow_rate,
            minimum_calls=minimum_calls,
            open_for=open_for,
            probes=probes,
            successes=probes if successes is None else successes,
            half_open_patience=half_open_patience.total_seconds(),
        )
        self.name = name
        self._record = record
        self._ignore = ignore
        self._record_result = record_result
        self._listeners = tuple(listeners)
        self._entered: ContextVar[Any] = ContextVar(f"breaker-{name}", default=None)
        now = time.monotonic if clock is None else clock.monotonic
        self._circuit = Circuit(policy, now=now, random=random, changed=self._changed)
        meter = meter_of(metrics, "breaker", name)
        meter.gauge("state", lambda: self._circuit.state.value)
        meter.gauge("seconds_in_state", lambda: now() - self._circuit.since)
        self._counts = meter.counts
        self._shared = None if shared is None else shared.member(name, self._circuit, policy, now)

    @property
    def state(self) -> State:
        """As of the last call: an open circuit whose pause is over becomes half-open with the next one."""
        return self._circuit.state

    @property
    def retry_after(self) -> float:
        """Seconds until a call may be let through; 0 when it may be now."""
        return self._circuit.retry_after

    def call(
        self,
        function: Callable[..., Awaitable[T]],
        /,
        *args: Any,
        fallback: Fallback[T] | None = None,
        **kwargs: Any,
    ) -> Coroutine[Any, Any, T]:
        """Make the call, or not.

        Args:
            fallback: gets the error of an open circuit or of a call that counted as failed, and gives the
                result instead; an ignored error goes to the caller.

        Raises: CircuitOpen; whatever the call raises.
        """
        return self._call(function, args, kwargs, fallback)

    def __call__(self, function: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
        """Decorate a coroutine function: each call of it goes through the breaker."""
        if not inspect.iscoroutinefunction(function):
            raise TypeError(f"{function!r} is no coroutine function; use try_acquire() around other code.")

        @functools.wraps(function)
        async def guarded(*args: P.args, **kwargs: P.kwargs) -> T:
            return await self._call(function, args, kwargs, None)

        return guarded

    async def __aenter__(self) -> Self:
        """Enter the guarded block. Raises CircuitOpen. Leave it in the same task."""
        permit = self._circuit.try_acquire()
        if permit is None or permit.probe:
            permit = await self._admit(permit)
        outer = self._entered.get()
        self._entered.set(permit if outer is None else (permit, outer))
        return self

    async def __aexit__(self, _: object, error: BaseException | None, __: object) -> None:
        permit = self._entered.get()
        if type(permit) is tuple:  # entered again inside, here or by the task that made this one
            permit, outer = permit
            self._entered.set(outer)
        else:
            self._entered.set(None)
        if error is not None:
            self.failed(permit, error)
            return
        self._circuit.succeed(permit)
        self._counts["success"] += 1
        if permit.lease is not None:
            self._return_lease(permit, succeeded=True)

    def try_acquire(self) -> Permit | None:
        """For code that cannot await: leave for one call, or None. End it with `succeeded` or `failed`.

        Raises: RuntimeError for a shared breaker: its probes are leased, which takes a round trip.
        """
        if self._shared is not None:
            raise RuntimeError(f"Breaker {self.name} is shared; use `async with` or `call`.")
        permit = self._circuit.try_acquire()
        if permit is None:
            self._counts["rejected"] += 1
        return permit

    def succeeded(self, permit: Permit) -> None:
        """The call with this permit ended well."""
        self._circuit.succeed(permit)
        self._counts["success"] += 1
        if permit.lease is not None:
            self._return_lease(permit, succeeded=True)

    def failed(self, permit: Permit, error: BaseException) -> None:
        """The call with this permit ended so; whether that counts is up to `record` and `ignore`."""
        if self._is_failure(error):
            self._count_failure(permit)
            return
        self._circuit.release(permit)
        self._counts["ignored" if isinstance(error, Exception) else "cancelled"] += 1
        if permit.lease is not None:
            self._return_lease(permit, succeeded=False)

    def force_open(self) -> None:
        """Let nothing through until `reset`. This process only."""
        self._circuit.force(State.OPEN)

    def force_closed(self) -> None:
        """Let everything through until `reset`. This process only."""
        self._circuit.force(State.CLOSED)

    def reset(self) -> None:
        """Close and count from nothing; with `shared`, for all processes."""
        self._circuit.reset()
        if self._shared is not None:
            self._shared.reset()

    async def _call(
        self,
        function: Callable[..., Awaitable[T]],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        fallback: Fallback[T] | None,
    ) -> T:
        circuit = self._circuit
        try:
            permit = circuit.try_acquire()
            if permit is None or permit.probe:
                permit = await self._admit(permit)
            try:
                result = await function(*args, **kwargs)
                failed = self._record_result is not None and self._record_result(result)
            except BaseException as error:
                self.failed(permit, error)
                raise
            if failed:
                self._count_failure(permit)
            else:
                circuit.succeed(permit)
                self._counts["success"] += 1
                if permit.lease is not None:
                    self._return_lease(permit, succeeded=True)
            return result
        except Exception as error:
            if fallback is None or not (isinstance(error, CircuitOpen) or self._is_failure(error)):
                raise
            self._counts["fallback"] += 1
            instead = fallback(error)
            return await instead if inspect.isawaitable(instead) else instead

    async def _admit(self, permit: Permit | None) -> Permit:
        if permit is not None and self._shared is not None:
            permit = await self._shared.admit(permit)
        if permit is None:
            self._counts["rejected"] += 1
            raise CircuitOpen(self.name, self._retry_after())
        return permit

    def _retry_after(self) -> float:
        return self._circuit.retry_after if self._shared is None else self._shared.retry_after

    def _is_failure(self, error: BaseException) -> bool:
        # CancelledError, KeyboardInterrupt and their like are no Exception: they come from outside.
        if not isinstance(error, Exception) or _matches(error, self._ignore):
            return False
        return _matches(error, self._record)

    def _count_failure(self, permit: Permit) -> None:
        self._counts["failure"] += 1
        self._circuit.fail(permit)
        if permit.lease is not None:
            self._return_lease(permit, succeeded=False)

    def _return_lease(self, permit: Permit, *, succeeded: bool) -> None:
        if self._shared is not None:
            self._shared.settle(permit, succeeded=succeeded)

    def _changed(self, before: State, after: State, reason: str) -> None:
        transition = Transition(self.name, before, after, reason)
        self._counts[f"to_{after.name.lower()}"] += 1
        log.info("breaker_%s", after.name.lower(), extra={"breaker": self.name, "reason": reason})
        if self._shared is not None:
            self._shared.moved(after)
        for listener in self._listeners:
            try:
                listener(transition)
            except Exception:
                # A listener watches; it must not decide what happens to the call.
                log.exception("breaker_listener_failed", extra={"breaker": self.name})


def _matches(error: BaseException, wanted: Matcher) -> bool:
    if isinstance(wanted, type | tuple):
        return isinstance(error, wanted)
    return wanted(error)
