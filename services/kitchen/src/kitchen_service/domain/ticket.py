"""A ticket: one pizza to cook. Its fencing token decides who may finish it (invariant I3)."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from kitchen_service.domain.errors import StaleLease
from kitchen_service.domain.station import Skill
from kitchen_service.domain.transitions import advance

MAX_FAILURES = 5
"""A pizza that failed this often cannot be cooked: the whole order is rejected."""

FIRST_PAUSE = timedelta(seconds=1)
LONGEST_PAUSE = timedelta(seconds=30)


class TicketStatus(StrEnum):
    QUEUED = "queued"
    STARTED = "started"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class TicketStep(StrEnum):
    START = "start"
    COMPLETE = "complete"
    RETURN = "return"
    GIVE_UP = "give-up"
    CANCEL = "cancel"
    ABANDON = "abandon"


TICKET_TRANSITIONS: Mapping[tuple[TicketStatus, TicketStep], TicketStatus] = {
    (TicketStatus.QUEUED, TicketStep.START): TicketStatus.STARTED,
    # A newer token takes the ticket over from a station that died.
    (TicketStatus.STARTED, TicketStep.START): TicketStatus.STARTED,
    (TicketStatus.STARTED, TicketStep.COMPLETE): TicketStatus.COMPLETED,
    (TicketStatus.STARTED, TicketStep.RETURN): TicketStatus.QUEUED,
    (TicketStatus.STARTED, TicketStep.GIVE_UP): TicketStatus.FAILED,
    (TicketStatus.QUEUED, TicketStep.CANCEL): TicketStatus.CANCELLED,
    # Its station died, and nobody takes over because the order is gone.
    (TicketStatus.STARTED, TicketStep.ABANDON): TicketStatus.CANCELLED,
}

FINISHED = frozenset({TicketStatus.COMPLETED, TicketStatus.FAILED, TicketStatus.CANCELLED})
UNFINISHED = frozenset(TicketStatus) - FINISHED


class Priority(StrEnum):
    STANDARD = "standard"
    EXPRESS = "express"


HEAD_START: Mapping[Priority, timedelta] = {
    Priority.STANDARD: timedelta(),
    Priority.EXPRESS: timedelta(minutes=10),
}
"""An express ticket is served as if it had come that much earlier; so nobody waits for ever."""


class Size(StrEnum):
    SMALL = "small"
    MEDIUM = "medium"
    LARGE = "large"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pizza:
    pizza_id: str
    size: Size
    toppings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """One pizza of an order.

    `fencing_token` is the newest token that ever started it: it only grows, also when Redis, which
    gives the tokens out, forgets everything.
    """

    id: str
    order_id: str
    pizza: Pizza
    priority: Priority
    skill: Skill = Skill.OVEN
    ingredients: Mapping[str, int] = field(hash=False)
    created_at: datetime
    due_at: datetime
    status: TicketStatus = TicketStatus.QUEUED
    fencing_token: int = 0
    claim_id: str | None = None
    station_id: str | None = None
    lease_until: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    failures: int = 0
    failure: str | None = None

    @property
    def rank(self) -> datetime:
        """Its place in the order of cooking: the earlier, the sooner."""
        return self.due_at - HEAD_START[self.priority]

    @property
    def finished(self) -> bool:
        return self.status in FINISHED

    def held(self, now: datetime) -> bool:
        """Whether a station is at work on it: started, and the lease has not run out."""
        return self.status is TicketStatus.STARTED and self.lease_until is not None and now < self.lease_until

    def start(
        self, *, station_id: str, token: int, claim_id: str, lease_until: datetime, now: datetime
    ) -> "Ticket":
        """The ticket in the hands of a station.

        Raises: StaleLease when a newer (or this) token has started it; WrongState when it is finished.
        """
        status = self._after(TicketStep.START)
        if token <= self.fencing_token:
            raise StaleLease(self.id)
        return replace(
            self,
            status=status,
            fencing_token=token,
            claim_id=claim_id,
            station_id=station_id,
            lease_until=lease_until,
            started_at=now,
        )

    def extend(self, token: int, lease_until: datetime, now: datetime) -> "Ticket":
        """The same work with more time. Raises: StaleLease when the token is old or the lease has run out."""
        if token != self.fencing_token or not self.held(now):
            raise StaleLease(self.id)
        return replace(self, lease_until=max(lease_until, self.lease_until or lease_until))

    def complete(self, token: int, now: datetime) -> "Ticket":
        """Cooked. An expired lease does not matter as long as nobody newer has started.

        Raises: StaleLease when the token is not the newest, or the work was given back.
        """
        self._check_holder(token)
        return replace(self, status=self._after(TicketStep.COMPLETE), lease_until=None, finished_at=now)

    def fail(self, token: int, reason: str, now: datetime) -> "Ticket":
        """Spoilt: back into the queue after a pause, or FAILED for good after MAX_FAILURES.

        Raises: StaleLease when the token is not the newest, or the work was given back.
        """
        self._check_holder(token)
        failed = replace(self, failures=self.failures + 1, failure=reason, lease_until=None)
        if failed.failures >= MAX_FAILURES:
            return replace(failed, status=self._after(TicketStep.GIVE_UP), finished_at=now)
        pause = min(FIRST_PAUSE * 2**self.failures, LONGEST_PAUSE)
        return replace(failed, status=self._after(TicketStep.RETURN), due_at=now + pause)

    def cancel(self, now: datetime) -> "Ticket":
        """Not wanted any more. Raises: WrongState when it has been started."""
        return replace(self, status=self._after(TicketStep.CANCEL), finished_at=now)

    def abandon(self, now: datetime) -> "Ticket":
        """The dead station's work on an order that is gone ends here."""
        return replace(self, status=self._after(TicketStep.ABANDON), lease_until=None, finished_at=now)

    def _check_holder(self, token: int) -> None:
        if token != self.fencing_token or self.status is not TicketStatus.STARTED:
            raise StaleLease(self.id)

    def _after(self, step: TicketStep) -> TicketStatus:
        return advance(TICKET_TRANSITIONS, self.status, step, what="Ticket", name=self.id)
