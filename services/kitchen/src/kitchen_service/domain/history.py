"""What happened to a ticket, told by comparing it before and after a change; the lines of a journey."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from kitchen_service.domain.ticket import Ticket, TicketStatus


class Happening(StrEnum):
    CLAIMED = "claimed"
    EXTENDED = "lease_extended"
    EXPIRED = "lease_expired"
    TAKEN_OVER = "taken_over"
    COMPLETED = "completed"
    FAILED = "failed"
    GIVEN_UP = "given_up"
    CANCELLED = "cancelled"
    ABANDONED = "abandoned"


@dataclass(frozen=True, slots=True)
class TicketLine:
    """One thing that happened to a ticket, with the ticket as it was by then."""

    time: datetime
    what: Happening
    ticket: Ticket

    @property
    def failed(self) -> bool:
        return self.what in (Happening.FAILED, Happening.GIVEN_UP)

    @property
    def attempt(self) -> int:
        """Which try at this pizza it belongs to, from 1."""
        return self.ticket.failures if self.failed else self.ticket.failures + 1


def what_happened(before: Ticket, after: Ticket, now: datetime) -> list[TicketLine]:
    """The lines of one change. A lease that ran out is told when somebody acts on it, with its own time."""
    lines = []
    if before.status is TicketStatus.STARTED and after.failures > before.failures:
        given_up = after.status is TicketStatus.FAILED
        lines.append(TicketLine(now, Happening.GIVEN_UP if given_up else Happening.FAILED, after))
    match before.status, after.status:
        case TicketStatus.QUEUED, TicketStatus.STARTED:
            lines.append(TicketLine(now, Happening.CLAIMED, after))
        case TicketStatus.STARTED, TicketStatus.STARTED if before.fencing_token == after.fencing_token:
            lines.append(TicketLine(now, Happening.EXTENDED, after))
        case TicketStatus.STARTED, TicketStatus.STARTED:
            lines += [_expired(before, now), TicketLine(now, Happening.TAKEN_OVER, after)]
        case _, TicketStatus.COMPLETED:
            lines.append(TicketLine(now, Happening.COMPLETED, after))
        case TicketStatus.STARTED, TicketStatus.CANCELLED if not lines:
            lines += [_expired(before, now), TicketLine(now, Happening.ABANDONED, after)]
        case _, TicketStatus.CANCELLED:
            lines.append(TicketLine(now, Happening.CANCELLED, after))
    return lines


def _expired(held: Ticket, now: datetime) -> TicketLine:
    return TicketLine(min(held.lease_until or now, now), Happening.EXPIRED, held)
