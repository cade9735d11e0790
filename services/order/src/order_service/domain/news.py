"""What the saga hears, and under which circumstances."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from order_service.domain.saga import Answer


@dataclass(frozen=True)
class Settlement:
    """What the provider took and gave back under an order's key, in EUR."""

    captured: Decimal
    refunded: Decimal


@dataclass(frozen=True)
class News:
    """An answer, with what comes with some of them.

    reason: of a rejection. error: why there was no answer. wait: before the provider may be asked again.
    settlement: of a refund. ready_at: the kitchen's estimate.
    """

    answer: Answer
    reason: str = ""
    error: str = ""
    wait: timedelta = timedelta()
    settlement: Settlement | None = None
    ready_at: datetime | None = None


@dataclass(frozen=True)
class Policy:
    """The times of the saga.

    lease: how long a step belongs to whoever took it up; afterwards another replica may.
    kitchen_deadline: how long the kitchen has to accept or reject, from when the order is handed over.
    first_retry, longest_retry: backoff of lookups, charges and refunds without an answer.
    refund_tries: after so many the order is cancelled with its refund still owed.
    listen_again: how long a missed deadline waits for news that are on their way to us.
    look_again: an order for later is looked at anew when half of its wait is over, until so little is left.
    """

    lease: timedelta = timedelta(seconds=5)
    kitchen_deadline: timedelta = timedelta(seconds=60)
    first_retry: timedelta = timedelta(milliseconds=200)
    longest_retry: timedelta = timedelta(seconds=30)
    refund_tries: int = 3
    listen_again: timedelta = timedelta(milliseconds=500)
    look_again: timedelta = timedelta(seconds=10)

    def retry_after(self, attempts: int) -> timedelta:
        """The pause before the next try when `attempts` have failed."""
        return min(self.first_retry * (1 << min(max(attempts - 1, 0), 16)), self.longest_retry)


@dataclass(frozen=True)
class Moment:
    """When something is heard, by which policy, and how long the kitchen would take for the order by now."""

    now: datetime
    policy: Policy
    lead: timedelta = timedelta()
