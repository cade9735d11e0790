"""A station needs more time for a ticket."""

from dataclasses import dataclass
from datetime import datetime
from functools import partial

from rediscore.clock import Clock

from kitchen_service.domain.errors import DispatchAway, NotFound, StaleLease
from kitchen_service.domain.history import what_happened
from kitchen_service.domain.ticket import Ticket
from kitchen_service.use_cases.ports import Books, Dispatch, Store


@dataclass(frozen=True, slots=True)
class ExtendLease:
    """The ticket with a new end of its lease.

    While Redis is away, or has forgotten the ticket, SQL alone decides: whoever holds the newest
    token goes on. That is safe, because nobody else can start it without a newer token.

    Raises: NotFound, StaleLease.
    """

    clock: Clock
    store: Store
    dispatch: Dispatch

    async def __call__(self, ticket_id: str, token: int) -> Ticket:
        # Refuse before Redis hears of it: a dead holder must not prolong its lease there.
        ticket = await self.store.look(partial(self._extended, ticket_id, token, self.clock.now()))
        until = await self._lease_until(ticket, token)
        return await self.store.transact(partial(self._save, ticket_id, token, until))

    async def _lease_until(self, ticket: Ticket, token: int) -> datetime:
        try:
            return await self.dispatch.extend(ticket, token)
        except DispatchAway:
            return self.clock.now() + self.dispatch.lease
        except StaleLease:
            if not await self.dispatch.unknown([ticket]):
                raise
            return self.clock.now() + self.dispatch.lease

    async def _extended(self, ticket_id: str, token: int, until: datetime, books: Books) -> Ticket:
        ticket = await self._ticket(ticket_id, books)
        return ticket.extend(token, until, self.clock.now())

    async def _save(self, ticket_id: str, token: int, until: datetime, books: Books) -> Ticket:
        await books.orders.lock_of_ticket(ticket_id)
        before = await self._ticket(ticket_id, books)
        now = self.clock.now()
        ticket = before.extend(token, until, now)
        await books.tickets.save(ticket)
        await books.tickets.note(*what_happened(before, ticket, now))
        return ticket

    async def _ticket(self, ticket_id: str, books: Books) -> Ticket:
        ticket = await books.tickets.get(ticket_id)
        if ticket is None:
            raise NotFound("ticket", ticket_id)
        return ticket
