"""A station asks for work: Redis leases a ticket to it, SQL records the start for the newest token only."""

import asyncio
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import Enum, auto
from functools import partial

from pizzeria_contracts.events import TicketStarted
from rediscore.clock import Clock

from kitchen_service.domain.errors import NotFound, StaleLease, StationClosed, StationFull
from kitchen_service.domain.history import what_happened
from kitchen_service.domain.kitchen_order import OrderStep
from kitchen_service.domain.station import ON_DUTY_FOR, Station
from kitchen_service.domain.ticket import Ticket, TicketStatus
from kitchen_service.use_cases.afterwards import follow_up
from kitchen_service.use_cases.ports import Books, Dispatch, Hints, Store, Taken

MOST_SKIPPED = 100
"""Finished tickets that one claim clears out of the queue before it answers that there is nothing."""

CLOCK_PAUSE = timedelta(seconds=1)

NOTE_DUTY_EVERY = ON_DUTY_FOR / 4
"""A claim says that somebody works at the station; it is written down no more often."""


class _Refused(Enum):
    FINISHED = auto()
    FULL = auto()
    OLD_TOKEN = auto()


@dataclass(frozen=True, slots=True)
class ClaimTicket:
    """The next ticket for a station, or None when there is none in time.

    The same `claim_id` again, after a lost answer, gives the same ticket as long as it is held.

    Args:
        wait: how long to wait for a ticket when there is none.
        stopping: ends the wait, not the start of a ticket that has been leased.
    Raises: NotFound (station), StationClosed, StationFull, DispatchAway (nothing was started).
    """

    clock: Clock
    store: Store
    dispatch: Dispatch
    hints: Hints

    async def __call__(
        self, station_id: str, *, claim_id: str, wait: timedelta, stopping: asyncio.Event
    ) -> Ticket | None:
        station, repeated = await self.store.look(partial(self._before, station_id, claim_id))
        if repeated is not None:
            return repeated
        if self._to_be_noted(station):
            await self.store.transact(partial(self._note_duty, station_id))
        deadline = self.clock.monotonic() + wait.total_seconds()
        for skipped in range(MOST_SKIPPED):
            left = timedelta(seconds=max(0.0, deadline - self.clock.monotonic()))
            # Each round has its own id, so a repeated request goes through the same rounds.
            taken = await self.dispatch.take(
                station, claim_id=f"{claim_id}/{skipped}", wait=left, stopping=stopping
            )
            if taken is None:
                return None
            # When this fails, the answer may be lost but the start recorded: the lease runs out by itself.
            result = await self.store.transact(partial(self._start, station, claim_id, taken))
            match result:
                case Ticket():
                    return result
                case _Refused.FINISHED:
                    await self.dispatch.done(taken, taken.token)
                case _Refused.FULL:
                    await self.dispatch.put_back(taken, taken.token, pause=timedelta())
                    raise StationFull(station.id, station.capacity)
                case _Refused.OLD_TOKEN:
                    # The server's clock went back after a wipe; its tokens are good when it has caught up.
                    await self.dispatch.put_back(taken, taken.token, pause=CLOCK_PAUSE)
        return None

    async def _before(self, station_id: str, claim_id: str, books: Books) -> tuple[Station, Ticket | None]:
        station = await books.stations.get(station_id)
        if station is None:
            raise NotFound("station", station_id)
        if not station.open:
            raise StationClosed(station_id)
        now = self.clock.now()
        ticket = await books.tickets.claimed_as(claim_id)
        if ticket is not None and ticket.held(now):
            return station, ticket
        if await books.tickets.held_by(station_id, now) >= station.capacity:
            raise StationFull(station.id, station.capacity)
        return station, None

    def _to_be_noted(self, station: Station) -> bool:
        return station.seen_at is None or self.clock.now() - station.seen_at > NOTE_DUTY_EVERY

    async def _note_duty(self, station_id: str, books: Books) -> None:
        station = await books.stations.lock(station_id)
        if station is not None and self._to_be_noted(station):
            await books.stations.save(replace(station, seen_at=self.clock.now()))

    async def _start(self, station: Station, claim_id: str, taken: Taken, books: Books) -> Ticket | _Refused:
        order = await books.orders.lock_of_ticket(taken.id)
        ticket = await books.tickets.get(taken.id)
        if order is None or order.gone or ticket is None or ticket.finished:
            return _Refused.FINISHED
        now = self.clock.now()
        if ticket.status is TicketStatus.STARTED and ticket.fencing_token == taken.token:
            return ticket
        # The station's row lock makes the count true until we commit (invariant I8).
        present = await books.stations.lock(station.id) or station
        if not present.open or await books.tickets.held_by(station.id, now) >= present.capacity:
            return _Refused.FULL
        try:
            started = ticket.start(
                station_id=station.id,
                token=taken.token,
                claim_id=claim_id,
                lease_until=taken.lease_until,
                now=now,
            )
        except StaleLease:
            return _Refused.OLD_TOKEN
        await books.tickets.save(started)
        await books.tickets.note(*what_happened(ticket, started, now))
        await books.orders.save(order.take(OrderStep.COOK))
        await books.publish(TicketStarted(ticket_id=ticket.id, station_id=station.id), subject=order.id)
        follow_up(books, self.hints, order.id)
        return started
