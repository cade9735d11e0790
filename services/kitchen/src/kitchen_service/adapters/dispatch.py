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

from kitchen_service.adapters.first_of_queues import claim_first
from kitchen_service.domain.errors import DispatchAway, StaleLease
from kitchen_service.domain.station import Skill, Station
from kitchen_service.domain.ticket import HEAD_START, Ticket
from kitchen_service.use_cases.ports import Taken

PATIENCE: Final = 1.5
"""Seconds that a verb may take, its own retries included: nobody waits longer for a Redis that hangs."""

AT_ONCE: Final = 100
NEVER: Final = 2**31

_log = structlog.get_logger(__name__)


def queue_name(skill: Skill) -> str:
    return f"dispatch-{skill}"


class RedisDispatch:
    """Tickets in one `PriorityQueue` per skill. A station takes the first of those queues that it can serve.

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
        self._queues = {
            skill: PriorityQueue(
                connections,
                queue_name(skill),
                keys=keys,
                head_start={priority.value: start for priority, start in HEAD_START.items()},
                lease=lease,
                capacity=capacity,
                max_attempts=NEVER,
                max_recoveries=NEVER,
                metrics=metrics,
            )
            for skill in Skill
        }

    async def offer(self, tickets: Sequence[Ticket]) -> None:
        """One round trip per hundred of a skill. A full queue takes what fits; the sweep brings the rest."""
        for skill, queue in self._queues.items():
            own = [t for t in tickets if t.skill is skill]
            for first in range(0, len(own), AT_ONCE):
                now = self._clock.now()
                entries = [
                    NewEntry(t.id, priority=t.priority.value, delay=max(t.due_at - now, timedelta()))
                    for t in own[first : first + AT_ONCE]
                ]
                async with self._patiently():
                    try:
                        await queue.add_many(entries)
                    except QueueFull:
                        _log.warning("dispatch_queue_full", skill=skill, waiting=len(own) - first)
                        break

    async def take(
        self, station: Station, *, claim_id: str, wait: timedelta, stopping: asyncio.Event
    ) -> Taken | None:
        # Not through the breaker: a worker that waits is no probe, and its success comes late.
        if self._breaker.retry_after > 0:
            raise DispatchAway
        queues = {skill: self._queues[skill] for skill in sorted(station.skills)}
        taking = asyncio.create_task(claim_first(queues, station.id, wait=wait, claim_id=claim_id))
        stop = asyncio.create_task(stopping.wait())
        try:
            async with asyncio.timeout(PATIENCE + wait.total_seconds()):
                await asyncio.wait({taking, stop}, return_when=asyncio.FIRST_COMPLETED)
            if not taking.done():
                return None
            found = taking.result()
        except (RedisError, TimeoutError) as error:
            raise DispatchAway from error
        finally:
            # A claim that arrives while it is cancelled is given back.
            taking.cancel()
            stop.cancel()
            await asyncio.wait({taking, stop})
        if found is None:
            return None
        skill, claim = found
        return Taken(claim.entry_id, skill, claim.token, claim.lease_until)

    async def extend(self, ticket: Ticket, token: int) -> datetime:
        async with self._patiently():
            try:
                return await self._queues[ticket.skill].extend(ticket.id, token)
            except LeaseNotHeld:
                raise StaleLease(ticket.id) from None

    async def done(self, taken: Taken | Ticket, token: int) -> None:
        async with self._patiently(), _decided_in_sql():
            await self._queues[taken.skill].ack(taken.id, token)

    async def put_back(self, taken: Taken | Ticket, token: int, *, pause: timedelta) -> None:
        async with self._patiently(), _decided_in_sql():
            queue = self._queues[taken.skill]
            if pause:
                await queue.nack(taken.id, token, delay=pause)
            else:
                await queue.release(taken.id, token)

    async def forget(self, tickets: Collection[Ticket]) -> None:
        for ticket in tickets:
            async with self._patiently():
                await self._queues[ticket.skill].remove(ticket.id)

    async def unknown(self, tickets: Sequence[Ticket]) -> set[str]:
        unknown: set[str] = set()
        for skill, queue in self._queues.items():
            own = [t.id for t in tickets if t.skill is skill]
            async with self._patiently():
                known = await queue.contains(own)
            unknown |= {ticket_id for ticket_id, is_known in zip(own, known, strict=True) if not is_known}
        return unknown

    async def recover(self) -> None:
        for queue in self._queues.values():
            async with self._patiently():
                await queue.recover()

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
