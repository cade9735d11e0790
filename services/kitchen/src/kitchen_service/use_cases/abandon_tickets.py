"""Ends what a dead station was cooking for an order that is gone, so that its ingredients come back."""

from dataclasses import dataclass
from functools import partial

from rediscore.clock import Clock

from kitchen_service.domain.history import what_happened
from kitchen_service.domain.stock import MovementKind
from kitchen_service.domain.ticket import Ticket, TicketStatus
from kitchen_service.use_cases.move_stock import move_stock
from kitchen_service.use_cases.ports import Books, Store

AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class AbandonTickets:
    """At most AT_ONCE per call, one transaction each; True when there may be more."""

    clock: Clock
    store: Store

    async def __call__(self) -> bool:
        stranded = await self.store.look(self._stranded)
        for ticket in stranded:
            await self.store.transact(partial(self._abandon, ticket))
        return len(stranded) == AT_ONCE

    async def _stranded(self, books: Books) -> list[Ticket]:
        return await books.tickets.stranded(self.clock.now(), AT_ONCE)

    async def _abandon(self, seen: Ticket, books: Books) -> None:
        await books.orders.lock(seen.order_id)
        ticket = await books.tickets.get(seen.id)
        now = self.clock.now()
        # Meanwhile its station may have come back and finished it, or asked for more time.
        if ticket is None or ticket.status is not TicketStatus.STARTED or ticket.held(now):
            return
        abandoned = ticket.abandon(now)
        await books.tickets.save(abandoned)
        await books.tickets.note(*what_happened(ticket, abandoned, now))
        await move_stock(books, MovementKind.RELEASE, {ticket.id: ticket.ingredients})
