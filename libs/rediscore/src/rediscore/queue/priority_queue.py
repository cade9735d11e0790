"""Priority queue: FIFO within a class, a head start for the better ones, work under lease."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from redis.exceptions import RedisError

from rediscore.client import RedisConnections
from rediscore.errors import QueueFull, StaleLease
from rediscore.keys import KeySpace
from rediscore.queue.entries import Claim, DeadEntry, QueuedEntry, QueueStats
from rediscore.queue.marker import BLOCK_SECONDS, MarkerWatch
from rediscore.retry import TRANSIENT, Backoff, is_transient, run_idempotent
from rediscore.scripts import Argument, Script

# In the order of KEYS in lua/lib.lua.
_KEYS = ["ready", "arrivals", "delayed", "leased", "dead", "done", "entries", "claims", "counters", "marker"]
_GIVE_BACK_SECONDS = 2.0
_OUTAGE_PAUSE = 0.2


class PriorityQueue:
    """Entries wait by rank = entry time − head start of their class; the lowest rank is taken first.

    Hence FIFO within a class, and nobody is overtaken by an entry that came later by more than the
    difference of the head starts: no starvation. A claim leases an entry; whoever stops renewing loses
    it to the next. Nothing is removed until it is acked, removed, or dead and out of retention.

    Every verb is one atomic script and one round trip, is safe to send twice, and is sent again by
    itself when the connection fails (`RedisSettings.retry`); then redis-py's error is raised. Times are
    those of the server. Needs a server that evicts nothing (`maxmemory-policy noeviction`).

    Args:
        name: of the queue, unique within `keys`.
        head_start: the classes, and how much earlier than they came their entries count.
        lease: how long a claim holds unless extended.
        capacity: of ready, delayed and leased entries together; None = no bound.
        max_attempts: failures (nack) after which an entry is dead.
        backoff: pauses between attempts.
        max_recoveries: leases of one entry that may run out before it is dead.
        memory: how long what is done or removed is remembered. Repeating a verb is harmless for so long.
        dead_retention: how long dead entries are kept.
        now_ms: only for tests, instead of the server's clock.
    """

    def __init__(
        self,
        connections: RedisConnections,
        name: str,
        *,
        keys: KeySpace,
        head_start: Mapping[str, timedelta],
        lease: timedelta = timedelta(seconds=10),
        capacity: int | None = None,
        max_attempts: int = 5,
        backoff: Backoff | None = None,
        max_recoveries: int = 20,
        memory: timedelta = timedelta(minutes=10),
        dead_retention: timedelta = timedelta(days=7),
        now_ms: Callable[[], int] | None = None,
    ) -> None:
        if not head_start:
            raise ValueError("A queue needs at least one class: head_start={'standard': timedelta(0)}.")
        if lease <= timedelta(0) or max_attempts < 1 or max_recoveries < 0:
            raise ValueError("A queue needs lease > 0, max_attempts >= 1 and max_recoveries >= 0.")
        self.name = name
        self._connections = connections
        tag = f"{keys.prefix}:{name}"
        self._keys = [keys.key("queue", key, tag=tag) for key in _KEYS]
        self._head_start = dict(head_start)
        self._lease = lease
        self._capacity = -1 if capacity is None else capacity
        self._max_attempts = max_attempts
        self._backoff = backoff or Backoff(1.0, 60.0)
        self._limits = (_ms(memory), _ms(dead_retention), max_recoveries)
        self._now_ms = now_ms

    async def add(
        self,
        entry_id: str,
        payload: bytes = b"",
        *,
        priority: str = "standard",
        delay: timedelta | None = None,
    ) -> bool:
        """Put an entry in, ready now or after `delay` (its entry time is then that of being ready).

        Returns: False when the queue holds the id, or remembers that it is done: nothing has changed.
        Raises: QueueFull.
        """
        if not entry_id:
            raise ValueError("An entry needs an id.")
        if priority not in self._head_start:
            raise ValueError(f"No class {priority!r}: the queue has {', '.join(sorted(self._head_start))}.")
        added: int = await self._run(
            "add",
            entry_id,
            payload,
            priority,
            _ms(self._head_start[priority]),
            _ms(delay or timedelta(0)),
            self._capacity,
        )
        if added < 0:
            raise QueueFull(f"Queue {self.name} holds {self._capacity} entries; add when some are done.")
        return added == 1

    async def claim(
        self, owner: str, *, claim_id: str | None = None, lease: timedelta | None = None
    ) -> Claim | None:
        """Lease the first ready entry to `owner`, or None.

        The same `claim_id` gets the same claim as long as its lease holds, so a caller whose answer was
        lost asks again. Cancelled while the answer is on the wire, it gives the entry back.
        """
        claim, _ = await self._claim(owner, claim_id or uuid4().hex, lease or self._lease)
        return claim

    async def claim_wait(
        self,
        owner: str,
        *,
        wait: timedelta,
        claim_id: str | None = None,
        lease: timedelta | None = None,
    ) -> Claim | None:
        """As `claim`, but wait for an entry up to `wait`.

        Blocks on a marker that holds no work, so nothing is lost with its answer. Woken by an arrival,
        by what falls due and by leases that run out; looks again at least every 5 s. A round trip per
        look, and one per sleep on a connection of the blocking pool.

        Raises: redis-py's error when the server is still away at the end of `wait`.
        """
        claim_id = claim_id or uuid4().hex
        lease = lease or self._lease
        deadline = time.monotonic() + wait.total_seconds()
        claim = None
        try:
            async with MarkerWatch(self._connections, self._keys[-1]) as marker:
                while claim is None:
                    try:
                        claim, next_event = await self._claim(owner, claim_id, lease)
                    except TRANSIENT as error:
                        # Who waits has time: the server may be back before that is over.
                        if not is_transient(error) or time.monotonic() >= deadline:
                            raise
                        next_event = _OUTAGE_PAUSE
                    left = deadline - time.monotonic()
                    if claim is not None or left <= 0:
                        break
                    # Leases given after this look end after the next one, if that is a lease away at most.
                    pause = min(left, BLOCK_SECONDS, self._lease.total_seconds())
                    await marker.sleep(max(0.001, pause if next_event is None else min(pause, next_event)))
        except asyncio.CancelledError:
            if claim is not None:  # cancelled on the way out
                await self._give_back(claim.entry_id, claim.token)
            raise
        return claim

    async def extend(self, entry_id: str, token: int, *, lease: timedelta | None = None) -> datetime:
        """Hold the entry for a full lease from now; returns its end.

        Raises: StaleLease when the token is not that of the holder: stop the work.
        """
        lease_until: int = await self._run("extend", entry_id, token, _ms(lease or self._lease))
        self._check(lease_until, entry_id, token)
        return _at(lease_until)

    async def ack(self, entry_id: str, token: int) -> None:
        """The entry is done and leaves the queue. Again with the same token: no effect.

        Raises: StaleLease when another holds it, or when the queue does not know it (any more).
        """
        self._check(await self._run("ack", entry_id, token), entry_id, token)

    async def nack(
        self, entry_id: str, token: int, *, delay: timedelta | None = None, reason: str = ""
    ) -> None:
        """The attempt failed: back to its old place after `delay`, or after the backoff of the queue;
        dead with the reason after `max_attempts`. Again with the same token: no effect.

        Raises: StaleLease.
        """
        if delay is None:
            pauses = [round(self._backoff.delay(n) * 1000) for n in range(1, min(self._max_attempts, 64) + 1)]
        else:
            pauses = [_ms(delay)]
        reply: int = await self._run("nack", entry_id, token, reason, self._max_attempts, *pauses)
        self._check(reply, entry_id, token)

    async def release(self, entry_id: str, token: int) -> None:
        """Give the entry back unfinished, e.g. at shutdown: ready at once, no attempt counted.

        Raises: StaleLease.
        """
        self._check(await self._run("release", entry_id, token), entry_id, token)

    async def recover(self, limit: int = 100) -> int:
        """Give back what dead workers held, make ready what is due, forget what is long done.

        At most `limit` of each (1 to 1000). `claim` and `add` do it too; this is for a queue that nobody
        asks. Returns: the number of leases that had run out.
        """
        recovered: int = await self._run("recover", max(1, min(limit, 1000)))
        return recovered

    async def remove(self, entry_id: str) -> bool:
        """Take an entry out whatever its state; a worker that holds it gets StaleLease.

        Returns: whether this call did it.
        """
        removed: int = await self._run("remove", entry_id, uuid4().hex)
        return removed == 1

    async def contains(self, entry_ids: Sequence[str]) -> list[bool]:
        """For each id whether the queue holds it: ready, delayed, leased or dead."""
        if not entry_ids:
            return []
        return [known == 1 for known in await self._run("contains", *entry_ids)]

    async def peek(self, n: int = 10) -> list[QueuedEntry]:
        """The next `n` ready entries in their order."""
        rows = await self._run("peek", "ready", n)
        return [QueuedEntry(*_looked_at(row)) for row in rows]

    async def dead(self, n: int = 100) -> list[DeadEntry]:
        """The `n` entries that have been dead for longest."""
        rows = await self._run("peek", "dead", n)
        return [DeadEntry(*_looked_at(row), reason=row[6].decode()) for row in rows]

    async def position(self, entry_id: str) -> int | None:
        """How many entries go before it; None when it is not ready."""
        position: int | None = await self._run("position", entry_id)
        return position

    async def stats(self) -> QueueStats:
        """How much there is in each state."""
        ready, delayed, leased, dead, oldest_ms = await self._run("stats")
        return QueueStats(ready, delayed, leased, dead, oldest_ms / 1000 if oldest_ms >= 0 else None)

    async def _run(self, verb: str, *args: Argument) -> Any:
        script = Script.load("rediscore.queue", f"lua/{verb}.lua")
        now: Argument = self._now_ms() if self._now_ms is not None else ""
        return await run_idempotent(
            lambda: script(self._connections, keys=self._keys, args=[now, *self._limits, *args]),
            policy=self._connections.settings.retry,
        )

    async def _claim(self, owner: str, claim_id: str, lease: timedelta) -> tuple[Claim | None, float | None]:
        """A claim, or None and the seconds until something will happen by itself."""
        request = asyncio.create_task(self._run("claim", claim_id, owner, _ms(lease)))
        try:
            reply = await asyncio.shield(request)
        except asyncio.CancelledError:
            # The answer may be on the wire: it is the only trace of the lease, so it is waited for.
            try:
                await asyncio.wait({request}, timeout=_GIVE_BACK_SECONDS)
            finally:
                request.cancel()  # no effect when done
            if request.done() and not request.cancelled() and request.exception() is None:
                reply = request.result()
                if len(reply) > 1:
                    await self._give_back(reply[0].decode(), reply[3])
            raise
        if len(reply) == 1:
            return None, (reply[0] / 1000 if reply[0] >= 0 else None)
        entry_id, payload, priority, token, lease_until, attempt = reply
        return Claim(entry_id.decode(), payload, priority.decode(), token, _at(lease_until), attempt), None

    async def _give_back(self, entry_id: str, token: int) -> None:
        """Release what a cancelled caller will never know of. Where that fails, the lease runs out."""
        with contextlib.suppress(StaleLease, RedisError, TimeoutError):
            async with asyncio.timeout(_GIVE_BACK_SECONDS):
                await self.release(entry_id, token)

    def _check(self, reply: int, entry_id: str, token: int) -> None:
        if not reply:
            raise StaleLease(f"Token {token} does not hold {entry_id} of {self.name}: stop the work.")


def _ms(duration: timedelta) -> int:
    return round(duration.total_seconds() * 1000)


def _at(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def _looked_at(row: list[Any]) -> tuple[str, bytes, str, datetime, int, int]:
    entry_id, payload, priority, entered, failures, recoveries = row[:6]
    return entry_id.decode(), payload, priority.decode(), _at(entered), failures, recoveries
