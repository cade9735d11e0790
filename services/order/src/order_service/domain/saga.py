"""The rules of the saga: which answer leads to which next step. Pure; the clock is an argument.

charge → captured → await the kitchen → (accepted: nothing left to do)
charge → declined → cancelled
charge → no answer → look up, never guess → as the provider says; unknown there → charge again,
                                            with the same key
any reason to call off → refund → cancelled (refunds that fail are tried for ever, with backoff)
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from order_service.domain import states
from order_service.domain.errors import NotConfirmedYet
from order_service.domain.order import Cancellation, Note, Order, PaymentStatus, Step
from order_service.domain.states import Status, Trigger


class Charge(StrEnum):
    """What the provider holds under an order's key."""

    CAPTURED = "captured"
    DECLINED = "declined"
    VOIDED = "voided"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Settlement:
    """What the provider took and gave back under an order's key, in EUR."""

    captured: Decimal
    refunded: Decimal


@dataclass(frozen=True)
class Policy:
    """The times of the saga.

    lease: how long a step belongs to whoever took it up; afterwards another replica may.
    kitchen_deadline: how long the kitchen has to accept or reject.
    first_retry, longest_retry: backoff of lookups, charges and refunds without an answer.
    refund_tries: after so many the order is cancelled with its refund still owed.
    listen_again: how long a missed deadline waits for news that are on their way to us.
    """

    lease: timedelta = timedelta(seconds=5)
    kitchen_deadline: timedelta = timedelta(seconds=60)
    first_retry: timedelta = timedelta(milliseconds=200)
    longest_retry: timedelta = timedelta(seconds=30)
    refund_tries: int = 3
    listen_again: timedelta = timedelta(milliseconds=500)

    def retry_after(self, attempts: int) -> timedelta:
        """The pause before the next try when `attempts` have failed."""
        return min(self.first_retry * (1 << min(attempts - 1, 16)), self.longest_retry)


def begin(order: Order, now: datetime, policy: Policy, *, heard_out: bool) -> Step | None:
    """Take up the step that is due: the step that the caller now has to do, or None.

    The step stays the caller's for the lease. A missed kitchen deadline turns into a refund, once the
    kitchen is `heard_out`: its word may have been given in time and only not have reached us yet.
    """
    if order.step is None or order.due_at is None or order.due_at > now:
        return None
    if order.step is not Step.AWAIT_KITCHEN:
        order.hold(order.step, now + policy.lease, order.attempts)
    elif heard_out:
        call_off_because(order, "kitchen-timeout", now, policy)
    else:
        order.plan(Step.AWAIT_KITCHEN, now + policy.listen_again)
        return None
    return order.step


def call_off_because(order: Order, reason: str, now: datetime, policy: Policy) -> None:
    """From here on the order can only end as cancelled; the refund step is the caller's."""
    order.closing = reason
    order.hold(Step.REFUND, now + policy.lease)


def charge_answered(order: Order, answer: Charge, now: datetime, policy: Policy) -> None:
    """The provider's word on a charge or a lookup. Too late when the order is being called off:
    what was captured by then is what the refund step will find.
    """
    if order.step not in (Step.CHARGE, Step.LOOKUP):
        return
    if answer is Charge.CAPTURED:
        order.confirm()
        order.plan(Step.AWAIT_KITCHEN, now + policy.kitchen_deadline)
    elif answer is Charge.DECLINED or answer is Charge.VOIDED:
        order.decline(f"payment-{answer}")
        order.plan(None, None)
    else:
        # It never arrived there, so the same key may be sent again without charging twice.
        order.noted.append(Note(now, "payment.unknown_to_provider", {"next": "charge again"}))
        _retry(order, Step.CHARGE, now, policy)


def charge_unanswered(order: Order, error: str, now: datetime, policy: Policy) -> None:
    """No word from the provider: the money may or may not have moved, so ask before anything else."""
    if order.step not in (Step.CHARGE, Step.LOOKUP):
        return
    order.noted.append(
        Note(
            now, "payment.no_answer", {"step": order.step, "attempt": str(order.attempts + 1), "error": error}
        )
    )
    _retry(order, Step.LOOKUP, now, policy)


def refund_answered(order: Order, settlement: Settlement) -> None:
    """The provider has given back all that it took, and will take nothing more under this key.

    Hearing it again changes nothing.
    """
    order.settle(settlement.captured, settlement.refunded)
    if order.status is not Status.CANCELLED:
        order.call_off(order.closing or "unknown")
    order.plan(None, None)


def refund_unanswered(order: Order, error: str, now: datetime, policy: Policy) -> None:
    """Try again later; after `refund_tries` the guest is told, while the refund is still tried."""
    if order.step is not Step.REFUND:
        return
    tries = order.attempts + 1
    order.noted.append(Note(now, "payment.refund_failed", {"attempt": str(tries), "error": error}))
    if tries >= policy.refund_tries and order.status is not Status.CANCELLED:
        order.payment.status = PaymentStatus.REFUND_PENDING
        order.call_off(order.closing or "unknown")
    _retry(order, Step.REFUND, now, policy)


def kitchen_accepted(order: Order, estimated_ready_at: datetime | None) -> bool:
    """The kitchen has it; its deadline is met. False when that comes too late to matter."""
    if not _listens(order):
        return False
    order.estimated_ready_at = estimated_ready_at
    order.plan(None, None)
    return True


def kitchen_rejected(order: Order, reason: str, now: datetime, policy: Policy) -> bool:
    """The kitchen cannot: give the money back. False when that comes too late to matter."""
    if not _listens(order) or order.status not in (Status.CONFIRMED, Status.COOKING):
        return False
    call_off_because(order, reason, now, policy)
    return True


def kitchen_progressed(order: Order, trigger: Trigger) -> bool:
    """Move along the table up to `trigger`. False when the order is there, beyond, or cancelled."""
    if not _listens(order):
        return False
    steps = states.steps_until(order.status, trigger)
    for step in steps:
        order.take(step)
    if steps:
        order.plan(None, None)
    return bool(steps)


def kitchen_cancelled(order: Order, now: datetime, policy: Policy) -> bool:
    """The kitchen took the tickets out before any was begun."""
    if not _listens(order) or order.status is not Status.CONFIRMED:
        return False
    call_off_because(order, "customer", now, policy)
    return True


def kitchen_kept(order: Order) -> bool:
    """Cooking had begun: the order goes on."""
    if not _listens(order) or order.cancellation is not Cancellation.REQUESTED:
        return False
    order.cancellation = Cancellation.REFUSED
    return True


def _listens(order: Order) -> bool:
    """Whether the kitchen's word still counts for this order."""
    if order.closing is not None or order.status in states.TERMINAL:
        return False
    if order.status is Status.PENDING:
        raise NotConfirmedYet(order.id)
    return True


def _retry(order: Order, step: Step, now: datetime, policy: Policy) -> None:
    attempts = order.attempts + 1
    order.plan(step, now + policy.retry_after(attempts), attempts)
