"""Take tickets back: cancelled, and their ingredients released."""

from collections.abc import Sequence
from datetime import datetime
from itertools import chain

from kitchen_service.domain.history import what_happened
from kitchen_service.domain.stock import MovementKind
from kitchen_service.domain.ticket import Ticket, TicketStatus
from kitchen_service.use_cases.move_stock import move_stock
from kitchen_service.use_cases.ports import Books


async def drop_queued(
    books: Books, order_id: str, *, now: datetime, ended: Sequence[Ticket] = ()
) -> list[Ticket]:
    """Cancel every queued ticket of an order whose row the caller has locked; started ones go on.

    Args:
        ended: tickets that have just ended without being cooked; their ingredients are released too.
    Returns: the cancelled tickets, to be taken out of the queue after the commit.
    """
    queued = [t for t in await books.tickets.of_order(order_id) if t.status is TicketStatus.QUEUED]
    cancelled = [ticket.cancel(now) for ticket in queued]
    await books.tickets.save(*cancelled)
    changes = zip(queued, cancelled, strict=True)
    await books.tickets.note(*chain.from_iterable(what_happened(*change, now) for change in changes))
    released = {ticket.id: ticket.ingredients for ticket in (*ended, *cancelled)}
    await move_stock(books, MovementKind.RELEASE, released)
    return cancelled
