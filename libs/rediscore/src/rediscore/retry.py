"""Retries with backoff. Only for reads and for operations that are safe to send twice."""

from collections.abc import Awaitable, Callable
from random import Random
from typing import TypeVar

import redis.exceptions

from rediscore.backoff import Backoff, RetryBudget
from rediscore.clock import Clock, SystemClock

__all__ = ["TRANSIENT", "Backoff", "RetryBudget", "is_transient", "run_idempotent"]

T = TypeVar("T")

TRANSIENT = (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError)
"""What may pass by itself: no connection, no reply in time, a server that still loads (BusyLoadingError)."""

_HOPELESS = (redis.exceptions.AuthenticationError, redis.exceptions.AuthorizationError)


def is_transient(error: BaseException) -> bool:
    """Whether the same command may succeed a moment later."""
    return isinstance(error, TRANSIENT) and not isinstance(error, _HOPELESS)


async def run_idempotent(
    operation: Callable[[], Awaitable[T]],
    *,
    policy: RetryBudget | None = None,
    clock: Clock | None = None,
    random: Random | None = None,
    failed: Exception | None = None,
    since: float | None = None,
) -> T:
    """Run `operation`, again when the connection failed or the reply did not come.

    A lost reply says nothing about whether the server acted, so `operation` must be a read or carry
    a token or a natural key that makes the second sending harmless.

    Args:
        failed: what the first attempt raised, when the caller has made that itself, beginning at `since`
            (`clock.monotonic()`): on a hot path, where none of this is needed as long as all is well.

    Raises: the last error when retries or seconds are used up, any other error at once.
    """
    policy = policy or RetryBudget()
    clock = clock or SystemClock()
    deadline = (clock.monotonic() if since is None else since) + policy.seconds
    attempt = 0
    while True:
        attempt += 1
        try:
            if failed is not None:
                error, failed = failed, None
                raise error
            return await operation()
        except TRANSIENT as error:
            pause = policy.backoff.delay(attempt, random)
            spent = attempt > policy.retries or clock.monotonic() + pause >= deadline
            if spent or not is_transient(error):
                raise
        await clock.sleep(pause)
