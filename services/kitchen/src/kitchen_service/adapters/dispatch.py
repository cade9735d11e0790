"""The dispatch queue on rediscore: leases and fencing tokens for tickets."""

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Final

import structlog
from redis.exceptions import RedisError
from rediscore.breaker import CircuitBreaker, CircuitOpen
from rediscore.client import RedisConnections
from rediscore.clock import Clock
from rediscore.errors import QueueFull
from rediscore.errors import StaleLease as LeaseNotHeld
from rediscore.keys import KeySpace
from rediscore.metrics import Metrics
from rediscore.queue import NewEntry, PriorityQueue

from kitchen_service.domain.errors import DispatchAway, StaleLease
from kitchen_service.domain.ticket import HEAD_START, Ticket
from kitchen_service.use_cases.ports import Taken

PATIENCE: Final = 1.5
"""Seconds that a verb may take, its own retries included: nobody waits longer for a Redis that hangs."""

AT_ONCE: Final = 100
NEVER: Final = 2**31

_log = structlog.get_logger(__name__)


class RedisDispatch:
    """Tickets in a `PriorityQueue`.

    How often a ticket may fail is counted in SQL, and its pauses come from there; the queue itself
    never gives an entry up, because an entry that is dead in Redis alone would leave its order hanging.

    While Redis is away the breaker answers in its place, so not everybody waits for every verb in vain.
    """

    def __init__(
        self,
        connections: RedisConnections,
        *,
        keys: KeySpace,
        lease: timedelta,
        capacity: int,
        clock: Clock,
        breaker: CircuitBreaker,
        metrics: Metrics,
    ) -> None:
        self.lease = lease
        self._clock = clock
        self._breaker = breaker
        self._queue = PriorityQueue(
            connections,
            "dispatch",
            keys=keys,
            head_start={priority.value: start for priority, start in HEAD_START.items()},
            lease=lease,
            capacity=capacity,
            max_attempts=NEVER,
            max_recoveries=NEVER,
            metrics=metrics,
        )

    async def offer(self, tickets: Sequence[Ticket]) -> None:
        """One round trip per hundred. A full queue takes what fits; the sweep brings the rest."""
        for first in range(0, len(tickets), AT_ONCE):
            now = self._clock.now()
            entries = [
                NewEntry(t.id, priority=t.priority.value, delay=max(t.due_at - now, timedelta()))
                for t in tickets[first : first + AT_ONCE]
            ]
            async with self._patiently():
                try:
                    await self._queue.add_many(entries)
                except QueueFull:
                    _log.warning("dispatch_queue_full", waiting=len(tickets) - first)
                    return

    async def take(
        self, station_id: str, *, claim_id: str, wait: timedelta, stopping: asyncio.Event
    ) -> Taken | None:
        # Not through the breaker: a worker that waits is no probe, and its success comes late.
        if self._breaker.retry_after > 0:
            raise DispatchAway
        waiting = asyncio.create_task(self._queue.claim_wait(station_id, wait=wait, claim_id=claim_id))
        stop = asyncio.create_task(stopping.wait())
        try:
            async with asyncio.timeout(PATIENCE + wait.total_seconds()):
                await asyncio.wait({waiting, stop}, return_when=asyncio.FIRST_COMPLETED)
            if not waiting.done():
                return None
            claim = waiting.result()
        except (RedisError, TimeoutError) as error:
            raise DispatchAway from error
        finally:
            # claim_wait gives a claim back that arrives while it is cancelled.
            waiting.cancel()
            stop.cancel()
            await asyncio.wait({waiting, stop})
        return None if claim is None else Taken(claim.entry_id, claim.token, claim.lease_until)

    async def extend(self, ticket_id: str, token: int) -> datetime:
        async with self._patiently():
            try:
                return await self._queue.extend(ticket_id, token)
            except LeaseNotHeld:
                raise StaleLease(ticket_id) from None

    async def done(self, ticket_id: str, token: int) -> None:
        async with self._patiently(), _decided_in_sql():
            await self._queue.ack(ticket_id, token)

    async def put_back(self, ticket_id: str, token: int, *, pause: timedelta) -> None:
        async with self._patiently(), _decided_in_sql():
            if pause:
                await self._queue.nack(ticket_id, token, delay=pause)
            else:
                await self._queue.release(ticket_id, token)

    async def forget(self, ticket_ids: Collection[str]) -> None:
        for ticket_id in ticket_ids:
            async with self._patiently():
                await self._queue.remove(ticket_id)

    async def unknown(self, ticket_ids: Sequence[str]) -> set[str]:
        async with self._patiently():
            known = await self._queue.contains(ticket_ids)
        return {ticket_id for ticket_id, is_known in zip(ticket_ids, known, strict=True) if not is_known}

    async def recover(self) -> None:
        async with self._patiently():
            await self._queue.recover()

    @asynccontextmanager
    async def _patiently(self) -> AsyncIterator[None]:
        try:
            # The time limit inside: a Redis that hangs is a failure, too.
            async with self._breaker, asyncio.timeout(PATIENCE):
                yield
        except (RedisError, TimeoutError, CircuitOpen) as error:
            raise DispatchAway from error


@asynccontextmanager
async def _decided_in_sql() -> AsyncIterator[None]:
    """Redis may have given the lease away or forgotten it: what SQL has recorded stands all the same."""
    try:
        yield
    except LeaseNotHeld:
        _log.debug("lease_gone_in_redis")
