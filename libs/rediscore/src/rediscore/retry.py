"""Retries with backoff. Only for reads and for operations that are safe to send twice."""

import random as random_module
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random
from typing import TypeVar

import redis.exceptions

from rediscore.clock import Clock, SystemClock

T = TypeVar("T")

TRANSIENT = (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError)
"""What may pass by itself: no connection, no reply in time, a server that still loads (BusyLoadingError)."""

_HOPELESS = (redis.exceptions.AuthenticationError, redis.exceptions.AuthorizationError)


@dataclass(frozen=True, slots=True)
class Backoff:
    """Pauses that grow: `initial · multiplier^(attempt-1)` seconds, at most `maximum`.

    With jitter (full: anything between nothing and that) many who failed together do not come back together.
    """

    initial: float
    maximum: float
    multiplier: float = 2.0
    jitter: bool = True

    def __post_init__(self) -> None:
        if not (0 <= self.initial <= self.maximum and self.multiplier >= 1):
            raise ValueError("A backoff needs 0 <= initial <= maximum and multiplier >= 1.")

    def delay(self, attempt: int, random: Random | None = None) -> float:
        """Seconds to wait after the failed attempt with this number, counted from 1."""
        # The exponent is bounded because a float overflows long before a patient loop gives up.
        ceiling = min(self.maximum, self.initial * self.multiplier ** min(max(attempt, 1) - 1, 60))
        if not self.jitter:
            return ceiling
        return (random or random_module).uniform(0, ceiling)


@dataclass(frozen=True, slots=True)
class RetryBudget:
    """How long it is worth trying: `retries` after the first attempt, all within `seconds`."""

    retries: int = 6
    backoff: Backoff = field(default_factory=lambda: Backoff(0.02, 0.5))
    seconds: float = 5.0


def is_transient(error: BaseException) -> bool:
    """Whether the same command may succeed a moment later."""
    return isinstance(error, TRANSIENT) and not isinstance(error, _HOPELESS)


async def run_idempotent(
    operation: Callable[[], Awaitable[T]],
    *,
    policy: RetryBudget | None = None,
    clock: Clock | None = None,
    random: Random | None = None,
) -> T:
    """Run `operation`, again when the connection failed or the reply did not come.

    A lost reply says nothing about whether the server acted, so `operation` must be a read or carry
    a token or a natural key that makes the second sending harmless.

    Raises: the last error when retries or seconds are used up, any other error at once.
    """
    policy = policy or RetryBudget()
    clock = clock or SystemClock()
    deadline = clock.monotonic() + policy.seconds
    attempt = 0
    while True:
        attempt += 1
        try:
            return await operation()
        except TRANSIENT as error:
            pause = policy.backoff.delay(attempt, random)
            spent = attempt > policy.retries or clock.monotonic() + pause >= deadline
            if spent or not is_transient(error):
                raise
        await clock.sleep(pause)
