"""Priority queue: FIFO within a class, a head start for the better ones, work under lease."""

import asyncio
import contextlib
import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from uuid import uuid4

from redis.exceptions import RedisError

from rediscore.client import RedisConnections
from rediscore.errors import QueueFull
from rediscore.keys import KeySpace
from rediscore.metrics import Metrics, meter_of
from rediscore.queue.entries import Claim, Done, NewEntry
from rediscore.queue.leases import LeasePolicy, QueueLeases
from rediscore.queue.marker import BLOCK_SECONDS, MarkerWatch
from rediscore.queue.wire import AT_ONCE, arrivals, claims_of, ends, ms
from rediscore.retry import TRANSIENT, Backoff, is_transient
from rediscore.scripts import Argument

__all__ = ["AT_ONCE", "PriorityQueue"]

_GIVE_BACK_SECONDS = 2.0
_OUTAGE_PAUSE = 0.2
# How long arrivals set the marker for a worker that found nothing: far longer than a sleep, for clocks jump.
_SLEEP_MS = 600_000


class PriorityQueue(QueueLeases):
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
        result_ttl: how long the results of entries are kept.
        metrics: counts what is added, claimed, acked, nacked and dead through this object.
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
        result_ttl: timedelta = timedelta(hours=1),
        metrics: Metrics | None = None,
        now_ms: Callable[[], int] | None = None,
    ) -> None:
        if not head_start:
            raise ValueError("A queue needs at least one class: head_start={'standard': timedelta(0)}.")
        if lease <= timedelta(0) or max_attempts < 1 or max_recoveries < 0:
            raise ValueError("A queue needs lease > 0, max_attempts >= 1 and max_recoveries >= 0.")
        super().__init__(
            connections,
            name,
            keys=keys,
            limits=(ms(memory), ms(dead_retention), max_recoveries),
            now_ms=now_ms,
            policy=LeasePolicy(lease, max_attempts, backoff or Backoff(1.0, 60.0), ms(result_ttl)),
            meter=meter_of(metrics, "queue", name),
        )
        self._head_start_ms = {priority: ms(start) for priority, start in head_start.items()}
        self._capacity = -1 if capacity is None else capacity

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
        (added,) = await self._add([NewEntry(entry_id, payload, priority, delay)])
        if added < 0:
            raise self._full()
        return added == 1

    async def add_unique(self, entry: NewEntry, unique: str, *, lasts: timedelta) -> str:
        """Put an entry in unless another one came under the same key within `lasts`, whatever became of it.

        Returns: the id of the one that stands for both. Raises: QueueFull.
        """
        (reply,) = await self._run(
            "add", self._capacity, ms(lasts), *arrivals([entry], self._start_of), unique=unique
        )
        if isinstance(reply, bytes):
            return reply.decode()
        if reply < 0:
            raise self._full()
        self._meter.counts["added"] += reply
        return entry.entry_id

    async def add_many(self, entries: Sequence[NewEntry]) -> list[bool]:
        """As `add` for each in turn, 1000 in a round trip.

        Raises: QueueFull when not all fitted; those before are in. To add all of them again is harmless.
        """
        added: list[int] = []
        for first in range(0, len(entries), AT_ONCE):
            added += await self._add(entries[first : first + AT_ONCE])
            if -1 in added:
                raise self._full()
        return [reply == 1 for reply in added]

    async def claim(
        self, owner: str, *, claim_id: str | None = None, lease: timedelta | None = None
    ) -> Claim | None:
        """Lease the first ready entry to `owner`, or None.

        The same `claim_id` gets the same claim as long as its lease holds, so a caller whose answer was
        lost asks again. Cancelled while the answer is on the wire, it gives the entry back.
        """
        claims = await self.claim_many(owner, 1, claim_id=claim_id, lease=lease)
        return claims[0] if claims else None

    async def claim_wait(
        self,
        owner: str,
        *,
        wait: timedelta,
        claim_id: str | None = None,
        lease: timedelta | None = None,
    ) -> Claim | None:
        """As `claim`, but wait for an entry up to `wait`; see `claim_many`."""
        claims = await self.claim_many(owner, 1, wait=wait, claim_id=claim_id, lease=lease)
        return claims[0] if claims else None

    async def claim_many(
        self,
        owner: str,
        most: int,
        *,
        done: Iterable[Claim | Done] = (),
        wait: timedelta | None = None,
        claim_id: str | None = None,
        lease: timedelta | None = None,
    ) -> list[Claim]:
        """Lease the first ready entries to `owner`: between one and `most` (up to 1000), or none. An entry on
        which a lease ran out comes alone: if it kills its workers, it takes no others with it.

        With `wait` it waits for the first one so long. It blocks on a marker that holds no work, so
        nothing is lost with its answer. Woken by an arrival, by what falls due and by leases that run out;
        looks again at least every 5 s. A round trip per look, and one per sleep on a connection of the
        blocking pool. Cancelled, it gives back what was on the wire.

        Args:
            done: claims to acknowledge in the same round trip. One that is no longer held is passed
                over in silence: its entry is somebody else's. The first look acknowledges, before any wait.
            claim_id: the same gets the same claims as long as their leases hold and none has ended.

        Raises: redis-py's error; with `wait` only when the server is still away at its end.
        """
        claim_id = claim_id or uuid4().hex
        lease = lease or self._policy.lease
        acks = ends(done)
        if wait is None:
            claims, _ = await self._claim(owner, claim_id, lease, most, 0, acks)
            return claims
        deadline = time.monotonic() + wait.total_seconds()
        claims = []
        try:
            async with MarkerWatch(self._connections, self._keys[-1]) as marker:
                while not claims:
                    try:
                        claims, next_event = await self._claim(owner, claim_id, lease, most, _SLEEP_MS, acks)
                        acks = []
                    except TRANSIENT as error:
                        # Who waits has time: the server may be back before that is over.
                        if not is_transient(error) or time.monotonic() >= deadline:
                            raise
                        next_event = _OUTAGE_PAUSE
                    left = deadline - time.monotonic()
                    if claims or left <= 0:
                        break
                    # Leases given after this look end after the next one, if that is a lease away at most.
                    pause = min(left, BLOCK_SECONDS, self._policy.lease.total_seconds())
                    await marker.sleep(max(0.001, pause if next_event is None else min(pause, next_event)))
        except asyncio.CancelledError:
            await self._give_back(claims)  # cancelled on the way out
            raise
        return claims

    async def prioritise(self, entry_id: str, priority: str) -> bool:
        """Move an entry into another class, to the place that it would have had there from the beginning.

        Returns: False when the queue does not hold it.
        """
        moved: int = await self._run("prioritise", entry_id, priority, self._start_of(priority))
        return moved == 1

    async def redrive(self, entry_ids: Sequence[str] | None = None, *, most: int = 100) -> list[str]:
        """Give dead entries another life, at the end of their class and with nothing counted against them.

        Args:
            entry_ids: which (up to 1000); None: the `most` that have been dead for longest.

        Returns: the ids that came back. When its answer was lost, the repetition returns none of them.
        """
        if entry_ids is not None and not entry_ids:
            return []
        starts = json.dumps(self._head_start_ms)
        back = await self._run("redrive", min(most, AT_ONCE), starts, *(entry_ids or ()))
        return [entry_id.decode() for entry_id in back]

    async def recover(self, limit: int = 100) -> int:
        """Give back what dead workers held, make ready what is due, forget what is long done.

        At most `limit` of each (1 to 1000). `claim` does it too; this is for a queue that nobody asks.
        Returns: the number of leases that had run out.
        """
        recovered: int = await self._run("recover", max(1, min(limit, AT_ONCE)))
        return recovered

    async def remove(self, entry_id: str, *, result: bytes = b"") -> bool:
        """Take an entry out whatever its state; a worker that holds it gets StaleLease.

        Args:
            result: to be kept, for those who wait for one.

        Returns: whether this call did it.
        """
        removed: int = await self._run(
            "remove", entry_id, uuid4().hex, *self._results, result, results_of=(entry_id, 0, result)
        )
        return removed == 1

    async def _add(self, entries: Sequence[NewEntry]) -> list[int]:
        added: list[int] = await self._run("add", self._capacity, 0, *arrivals(entries, self._start_of))
        self._meter.counts["added"] += added.count(1)
        return added

    async def _claim(
        self, owner: str, claim_id: str, lease: timedelta, most: int, sleep_ms: int, acks: list[Argument]
    ) -> tuple[list[Claim], float | None]:
        """Claims, or none and the seconds until something will happen by itself."""
        request = asyncio.create_task(
            self._run(
                "claim",
                *(claim_id, owner, ms(lease), min(most, AT_ONCE), sleep_ms),
                *self._results,
                *acks,
                results_of=acks,
            )
        )
        try:
            reply = await asyncio.shield(request)
        except asyncio.CancelledError:
            # The answer may be on the wire: it is the only trace of the lease, so it is waited for.
            try:
                await asyncio.wait({request}, timeout=_GIVE_BACK_SECONDS)
            finally:
                request.cancel()  # no effect when done
            if request.done() and not request.cancelled() and request.exception() is None:
                await self._give_back(claims_of(request.result()))
            raise
        claims = claims_of(reply)
        self._meter.counts["claimed"] += len(claims)
        self._meter.counts["acked"] += sum(reply[0])
        next_ms = reply[1][0] if reply[1] else 0
        return claims, (next_ms / 1000 if next_ms >= 0 else None)

    async def _give_back(self, claims: Sequence[Claim]) -> None:
        """Release what a cancelled caller will never know of. Where that fails, the lease runs out."""
        with contextlib.suppress(RedisError, TimeoutError):
            async with asyncio.timeout(_GIVE_BACK_SECONDS):
                await self.release_many(claims)

    def _start_of(self, priority: str) -> int:
        try:
            return self._head_start_ms[priority]
        except KeyError:
            raise ValueError(
                f"No class {priority!r}: the queue has {', '.join(sorted(self._head_start_ms))}."
            ) from None

    def _full(self) -> QueueFull:
        return QueueFull(f"Queue {self.name} holds {self._capacity} entries; add when some are done.")
