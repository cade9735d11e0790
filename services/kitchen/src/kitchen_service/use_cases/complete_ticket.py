"""A pizza is cooked: its ingredients are consumed, and the last one makes the order ready."""

from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from pizzeria_contracts.events import OrderReady, Payload, TicketCompleted, TicketCompletedV2
from rediscore.clock import Clock

from kitchen_service.domain.errors import NotFound
from kitchen_service.domain.history import what_happened
from kitchen_service.domain.kitchen_order import KitchenOrder
from kitchen_service.domain.stock import MovementKind
from kitchen_service.domain.ticket import Ticket, TicketStatus
from kitchen_service.use_cases.afterwards import follow_up
from kitchen_service.use_cases.move_stock import move_stock
from kitchen_service.use_cases.ports import Books, Dispatch, Hints, Store


@dataclass(frozen=True, slots=True)
class CompleteTicket:
    """The completed ticket; the same token once more gives the same answer. Needs SQL only.

    Args:
        version: in which version it is told; 2 when all who hear it can read that.
    Raises: NotFound, StaleLease when another station has a newer token.
    """

    clock: Clock
    store: Store
    dispatch: Dispatch
    hints: Hints
    version: int = 1

    async def __call__(self, ticket_id: str, token: int) -> Ticket:
        return await self.store.transact(partial(self._complete, ticket_id, token))

    async def _complete(self, ticket_id: str, token: int, books: Books) -> Ticket:
        order = await books.orders.lock_of_ticket(ticket_id)
        ticket = await books.tickets.get(ticket_id)
        if order is None or ticket is None:
            raise NotFound("ticket", ticket_id)
        if ticket.status is TicketStatus.COMPLETED and ticket.fencing_token == token:
            return ticket
        now = self.clock.now()
        completed = ticket.complete(token, now)
        await books.tickets.save(completed)
        await books.tickets.note(*what_happened(ticket, completed, now))
        await move_stock(books, MovementKind.CONSUME, {ticket.id: ticket.ingredients})
        took = max(timedelta(), now - (completed.started_at or now))
        await books.publish(self._told(ticket.id, completed.station_id or "", took), subject=order.id)
        await self._ready_with_the_last(order, books)
        follow_up(books, self.hints, order.id, lambda: self.dispatch.done(completed, token))
        return completed

    def _told(self, ticket_id: str, station_id: str, took: timedelta) -> Payload:
        if self.version == 1:
            return TicketCompleted(ticket_id=ticket_id, station_id=station_id, seconds=took.total_seconds())
        return TicketCompletedV2(
            ticket_id=ticket_id, station_id=station_id, milliseconds=round(took.total_seconds() * 1000)
        )

    async def _ready_with_the_last(self, order: KitchenOrder, books: Books) -> None:
        if order.gone or await books.tickets.unfinished_of(order.id):
            return
        await books.orders.save(order.finish(self.clock.now()))
        await books.publish(OrderReady(), subject=order.id)
