"""Locks over processes, in the order of arrival."""

import asyncio
import time
from collections.abc import Coroutine
from datetime import timedelta
from types import TracebackType
from typing import Any, Final, Self

from redis.exceptions import RedisError

from rediscore.client import RedisConnections
from rediscore.keys import KeySpace
from rediscore.lock.errors import LockLost, LockTimeout
from rediscore.lock.lease import Guard, Lease
from rediscore.lock.verbs import HEARTBEAT_MS, Verbs
from rediscore.lock.wakeups import Wakeup, Wakeups
from rediscore.metrics import Metrics, meter_of
from rediscore.retry import TRANSIENT, is_transient

_LOOK_AGAIN: Final = 1.0
"""A waiter that hears nothing looks again after so many seconds at most; that is its heartbeat, too."""

_GIVE_BACK_SECONDS: Final = 2.0
_OUTAGE_PAUSE: Final = 0.2
_SHORTEST: Final = timedelta(milliseconds=100)


class Locks:
    """Locks by name, for tasks of any process that uses the same keys.

    Of all who ask for a name one holds the lock, for a lease that is renewed while it works. Waiters get
    it in the order of their arrival. A Redis lock alone cannot keep out a holder that was paused for
    longer than its lease and does not know: hand the lease's fencing `token` to what you write to.

    Owns the subscription that wakes waiters, the renewals and the releases of cancelled callers: close
    it (`async with` or `aclose`) before the connections.

    Args:
        keys: whose locks; the same name in another key space is another lock.
    """

    def __init__(
        self, connections: RedisConnections, *, keys: KeySpace, metrics: Metrics | None = None
    ) -> None:
        self._connections = connections
        self._keys = keys
        self._retry = connections.settings.retry
        self._meter = meter_of(metrics, "lock", keys.prefix)
        self._wakeups = Wakeups(connections, keys)
        self._tasks: set[asyncio.Task[None]] = set()

    def lock(
        self,
        name: str,
        *,
        ttl: timedelta = timedelta(seconds=10),
        wait: timedelta = timedelta(seconds=30),
        renew: bool = True,
    ) -> "Hold":
        """`async with locks.lock("invoice:42") as lease: ...`; each object is for one `async with`.

        Two round trips when it is free; each further second of waiting costs one. Not reentrant: a task that
        asks again for what it holds waits for itself, until `LockTimeout`.

        Args:
            name: any text.
            ttl: how long a holder that died or is cut off keeps the others out; the lease.
            wait: longest wait for it; zero = do not wait.
            renew: prolong the lease every third of `ttl` while the body runs. Without, the body has
                nine tenths of it.

        Raises on entering: LockTimeout, or redis-py's ConnectionError or TimeoutError when the server is
            still away at the end of `wait`.
        Raises on leaving: LockLost, when the lock was not held to the end. The body is cancelled as soon
            as that is known; when it could not be renewed, a tenth of `ttl` before `lease.deadline`, so
            before another can have the lock.
        """
        if not name or ttl < _SHORTEST or wait < timedelta(0):
            raise ValueError("A lock needs a name, ttl >= 0.1 s and wait >= 0.")
        return Hold(self, name, ttl, wait, renew)

    async def aclose(self) -> None:
        """Hear no more turns, and see releases on their way to the end. Leases still held run out."""
        await self._wakeups.aclose()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_GIVE_BACK_SECONDS)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name="lock-errand")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


class Hold:
    """One `async with` on a lock; see `Locks.lock`."""

    def __init__(self, locks: Locks, name: str, ttl: timedelta, wait: timedelta, renew: bool) -> None:
        self._locks = locks
        self._name = name
        self._ttl = ttl
        self._wait = wait.total_seconds()
        self._renew = renew
        self._verbs: Verbs | None = None
        self._meter = locks._meter

    async def __aenter__(self) -> Lease:
        if self._verbs is not None:
            raise RuntimeError("Enter it once; call lock() for each `async with`.")
        locks = self._locks
        owner = locks._wakeups.new_owner()
        self._verbs = Verbs(locks._connections, locks._keys, self._name, owner, retry=locks._retry)
        begun = time.monotonic()
        try:
            self._lease = await self._acquire(self._verbs, begun + self._wait)
            self._guard = Guard(
                self._lease,
                self._verbs,
                self._ttl,
                renew=self._renew,
                start=locks._start,
                meter=self._meter,
            )
        except BaseException:
            # Whatever the server does with what we sent: it must not end in a lock that nobody holds.
            if self._wait or self._verbs.in_doubt:
                await self._release(self._verbs)
            raise
        finally:
            locks._wakeups.forget(self._verbs.owner)
        self._entered = time.monotonic()
        self._meter.timings["wait"].observe(self._entered - begun)
        self._meter.counts["acquired"] += 1
        return self._lease

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        assert self._verbs is not None  # noqa: S101  entered
        self._meter.timings["held"].observe(time.monotonic() - self._entered)
        ours = self._guard.end(kind)
        if self._lease.lost.is_set():
            self._locks._start(self._give_back(self._verbs))
            if ours or kind is None:
                raise LockLost(f"Lock {self._name} (token {self._lease.token}) {self._guard.why}.") from error
            return
        if not await self._release(self._verbs):
            self._meter.counts["lost"] += 1
            self._lease.lost.set()
            if kind is None:
                raise LockLost(f"Lock {self._name} (token {self._lease.token}) was gone before the end.")

    async def _acquire(self, verbs: Verbs, end: float) -> Lease:
        wakeup = None
        while True:
            if wakeup is not None and (lease := self._handed(verbs, wakeup)) is not None:
                return lease
            try:
                token, holder_left = await verbs.acquire(
                    round(self._ttl.total_seconds() * 1000), stand_in_line=self._wait > 0
                )
            except TRANSIENT as error:
                # Who waits has time: the server may be back before that is over.
                if not is_transient(error) or time.monotonic() >= end:
                    raise
                token, holder_left = 0, _OUTAGE_PAUSE
            if token:
                return Lease(self._name, token, verbs.sent_at, self._ttl)
            left = end - time.monotonic()
            if left <= 0:
                self._meter.counts["timeout"] += 1
                raise LockTimeout(
                    f"Lock {self._name} did not become free within {self._wait:g} s; the lease of its "
                    f"holder ends in {holder_left:.3g} s unless it is renewed."
                )
            if wakeup is None:
                self._meter.counts["waited"] += 1
                wakeup = self._locks._wakeups.expect(verbs.owner)
            await _set_within(wakeup.event, min(left, holder_left, _LOOK_AGAIN))

    def _handed(self, verbs: Verbs, wakeup: Wakeup) -> Lease | None:
        """The lease that came with the wake-up: no request is needed before the body may begin.

        Only where that lease is no longer than the caller's own and can be prolonged, and when no earlier
        request of ours may still be on its way.
        """
        turn, wakeup.turn = wakeup.turn, None
        length = HEARTBEAT_MS / 1000
        if turn is None or not self._renew or verbs.in_doubt or self._ttl.total_seconds() < length:
            return None
        lease = Lease(self._name, turn.token, verbs.counts_from(turn), self._ttl, first=length)
        return lease if lease.deadline - time.monotonic() > length / 2 else None

    async def _release(self, verbs: Verbs) -> bool:
        """False when the lock was lost before."""
        try:
            async with asyncio.timeout(_GIVE_BACK_SECONDS):
                return await verbs.release()
        except (RedisError, OSError):
            # It was held while the body ran; now the lease has to run out by itself.
            self._meter.counts["release_failed"] += 1
            return True
        except asyncio.CancelledError:
            self._locks._start(self._give_back(verbs))
            raise

    async def _give_back(self, verbs: Verbs) -> None:
        await self._release(verbs)


async def _set_within(event: asyncio.Event, seconds: float) -> None:
    """Return when the event is set, and clear it, or after that time."""
    try:
        async with asyncio.timeout(max(seconds, 0.001)):
            await event.wait()
    except TimeoutError:
        return
    event.clear()
