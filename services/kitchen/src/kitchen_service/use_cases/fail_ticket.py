"""A pizza is spoilt: it is cooked again after a pause, and given up with its order when it keeps failing."""

from dataclasses import dataclass
from functools import partial

from pizzeria_contracts.events import TicketRejected
from rediscore.clock import Clock

from kitchen_service.domain.errors import NotFound
from kitchen_service.domain.history import what_happened
from kitchen_service.domain.kitchen_order import OrderStep
from kitchen_service.domain.ticket import Ticket, TicketStatus
from kitchen_service.use_cases.afterwards import follow_up
from kitchen_service.use_cases.drop_tickets import drop_queued
from kitchen_service.use_cases.ports import Books, Dispatch, Hints, Store

CANNOT_COOK = "cannot-cook"


@dataclass(frozen=True, slots=True)
class FailTicket:
    """The ticket after the failure; the same token once more gives the same answer. Needs SQL only.

    Its ingredients stay reserved for the next attempt.

    Raises: NotFound, StaleLease when another station has a newer token.
    """

    clock: Clock
    store: Store
    dispatch: Dispatch
    hints: Hints

    async def __call__(self, ticket_id: str, token: int, reason: str) -> Ticket:
        return await self.store.transact(partial(self._fail, ticket_id, token, reason))

    async def _fail(self, ticket_id: str, token: int, reason: str, books: Books) -> Ticket:
        order = await books.orders.lock_of_ticket(ticket_id)
        ticket = await books.tickets.get(ticket_id)
        if order is None or ticket is None:
            raise NotFound("ticket", ticket_id)
        if ticket.fencing_token == token and ticket.status in (TicketStatus.QUEUED, TicketStatus.FAILED):
            return ticket
        now = self.clock.now()
        failed = ticket.fail(token, reason, now)
        if order.gone and not failed.finished:
            failed = failed.cancel(now)
        await books.tickets.save(failed)
        await books.tickets.note(*what_happened(ticket, failed, now))
        if not failed.finished:
            pause = failed.due_at - now
            back = partial(self.dispatch.put_back, failed, token, pause=pause)
            follow_up(books, self.hints, order.id, back)
            return failed
        dropped = await drop_queued(books, order.id, now=now, ended=[failed])
        if not order.gone:
            await books.orders.save(order.take(OrderStep.GIVE_UP))
            await books.publish(TicketRejected(reason=CANNOT_COOK), subject=order.id)
        follow_up(
            books,
            self.hints,
            order.id,
            partial(self.dispatch.done, failed, token),
            partial(self.dispatch.forget, dropped),
        )
        return failed
