"""What the holder of a lock has in hand, and how it learns that it has it no longer."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any, Final

from redis.exceptions import RedisError

from rediscore.lock.errors import LockLost
from rediscore.lock.verbs import Verbs
from rediscore.metrics import Meter
from rediscore.retry import Backoff

_DRIFT: Final = 0.02
"""Share of the lease by which clocks may run apart."""

_NOTICE: Final = 0.1
"""Share of the lease that the body has to stop before the deadline."""


class Lease:
    """Held until `deadline`, which each renewal moves on.

    Attributes:
        name: of the lock.
        token: the fencing token: larger than every one given before. Hand it to the resource, which
            refuses a write with a token smaller than the largest it has seen.
        lost: set when the lock is held no longer, or is not certain to be.
        deadline: `time.monotonic()` until which the lock is held for certain, unless somebody deletes
            its key. Counted from before the request was sent.
        length: seconds of the present lease.
    """

    def __init__(
        self, name: str, token: int, sent: float, ttl: timedelta, *, first: float | None = None
    ) -> None:
        self.name = name
        self.token = token
        self.lost = asyncio.Event()
        self._ttl = ttl.total_seconds()
        self.length = self._ttl if first is None else first
        self.deadline = sent + self.length * (1 - _DRIFT)

    def renewed(self, sent: float) -> None:
        """A full lease since the request, sent at `sent`."""
        self.length = self._ttl
        self.deadline = sent + self.length * (1 - _DRIFT)

    def check(self) -> None:
        """Just before an effect without an `await`.

        Raises: LockLost when the deadline is over or the lock is known to be lost.
        """
        if self.lost.is_set() or time.monotonic() >= self.deadline:
            raise LockLost(f"Lock {self.name} (token {self.token}) is held no longer: stop the work.")


class Guard:
    """Renews a lease while the body of `async with` runs, and cancels the body when that fails.

    The bookkeeping of cancellation is that of `asyncio.Timeout`: our own becomes `LockLost` exactly once,
    one from outside goes on.

    Args:
        start: begins a task and owns it.
    """

    def __init__(
        self,
        lease: Lease,
        verbs: Verbs,
        ttl: timedelta,
        *,
        renew: bool,
        start: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
        meter: Meter,
    ) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("A lock is held by a task: use it inside of one.")
        self._task = task
        self._cancelling = task.cancelling()
        self._lease = lease
        self._verbs = verbs
        self._ttl_ms = round(ttl.total_seconds() * 1000)
        self._renew = renew
        self._start = start
        self._meter = meter
        self._loop = asyncio.get_running_loop()
        self._renewing: asyncio.Task[None] | None = None
        self._cancelled_body = False
        self.why = ""
        """In words, what became of the lease."""
        self._wait()

    def end(self, kind: type[BaseException] | None) -> bool:
        """The body is over. Returns: whether what it ended with is our own cancellation.

        Args:
            kind: type of the exception that the body ended with.
        """
        self._timer.cancel()
        if self._renewing is not None:
            self._renewing.cancel()
        if not self._cancelled_body:
            if time.monotonic() >= self._lease.deadline:  # the loop was blocked until the very end
                self._lost("ran out")
            return False
        return (
            self._task.uncancel() <= self._cancelling
            and kind is not None
            and issubclass(kind, asyncio.CancelledError)
        )

    @property
    def _last_moment(self) -> float:
        return self._lease.deadline - self._lease.length * _NOTICE

    def _wait(self) -> None:
        pause = self._last_moment - time.monotonic()
        if self._renew and self._renewing is None:
            # A third of the lease after the last time, so that there is time for more than one attempt.
            pause -= self._lease.length * (2 / 3 - _DRIFT - _NOTICE)
        self._timer = self._loop.call_later(pause, self._tick)

    def _tick(self) -> None:
        # First of all, and without an await: after a blocked loop the body must not get a step further.
        if time.monotonic() >= self._last_moment:
            self._lose("was not renewed in time")
            return
        if self._renew and self._renewing is None:
            self._renewing = self._start(self._extend())
        self._wait()

    async def _extend(self) -> None:
        length = self._lease.length
        backoff = Backoff(min(0.05, length / 50), length / 10)
        attempt = 0
        while True:
            try:
                async with asyncio.timeout(length / 6):
                    held = await self._verbs.extend(self._ttl_ms)
                break
            except (RedisError, OSError):
                attempt += 1
                self._meter.counts["renewal_failed"] += 1
            await asyncio.sleep(backoff.delay(attempt))
        self._timer.cancel()
        self._renewing = None
        if not held:
            self._lose("was found to be somebody else's or gone")
            return
        self._meter.counts["renewed"] += 1
        self._lease.renewed(self._verbs.sent_at)
        self._wait()

    def _lose(self, why: str) -> None:
        self._lost(why)
        if self._renewing is not None:
            self._renewing.cancel()
        self._cancelled_body = True
        self._task.cancel()

    def _lost(self, why: str) -> None:
        self.why = why
        self._meter.counts["lost"] += 1
        self._lease.lost.set()
