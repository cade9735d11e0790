"""The order: what is known of it, and the changes that keep it true.

*When* something changes is decided by the table in `saga`, *what* by `steps`. Here is what a change
consists of: a row of the transition table, the money, the events that tell of it.
Everything published or worth a line in the journey is collected in `happened` and `noted`, and
saved in the same transaction as the order itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from pizzeria_contracts.events import (
    CancellationRequested,
    OrderCancelled,
    OrderConfirmed,
    OrderedItem,
    OrderPlaced,
    Payload,
    PaymentCaptured,
    PaymentDeclined,
    PaymentRefunded,
)
from pizzeria_contracts.payloads import Priority

from order_service.domain import states
from order_service.domain.pricing import total
from order_service.domain.saga import Step
from order_service.domain.states import Status, Trigger

NOTHING = Decimal("0.00")


class PaymentStatus(StrEnum):
    PENDING = "pending"
    CAPTURED = "captured"
    DECLINED = "declined"
    REFUND_PENDING = "refund_pending"
    REFUNDED = "refunded"


class Cancellation(StrEnum):
    """What became of the guest's wish to cancel; none was asked for = None."""

    REQUESTED = "requested"
    REFUSED = "refused"


@dataclass(frozen=True)
class Note:
    """A line of the journey that no event of ours tells: a retry, or an event of somebody else."""

    time: datetime
    type: str
    detail: Mapping[str, object]
    source: str | None = None  # None: ourselves
    traceparent: str | None = None  # None: the work under way


@dataclass
class Payment:
    """The money of one order in EUR; `token` is what the guest gave us for the provider."""

    token: str
    status: PaymentStatus = PaymentStatus.PENDING
    captured: Decimal = NOTHING
    refunded: Decimal = NOTHING


@dataclass
class Order:
    id: str
    customer_id: str
    items: tuple[OrderedItem, ...]
    total: Decimal
    priority: Priority
    scheduled_for: datetime | None
    payment: Payment
    created_at: datetime
    delivery_address: str | None = None
    notes: str | None = None
    traceparent: str | None = None  # of the request that placed it; later steps continue that trace
    status: Status = Status.PENDING
    version: int = 1
    cancellation: Cancellation | None = None
    closing: str | None = None  # the reason why this order is being, or was, called off
    estimated_ready_at: datetime | None = None
    step: Step | None = None
    due_at: datetime | None = None
    attempts: int = 0
    in_hand: bool = False  # the step was taken up in this very change, so whoever saves it has to do it
    happened: list[Payload] = field(default_factory=list)
    noted: list[Note] = field(default_factory=list)

    @property
    def pizzas(self) -> int:
        """How many there are to cook."""
        return sum(item.quantity for item in self.items)

    @property
    def ended(self) -> bool:
        """True once nothing can happen to it any more, money included."""
        return self.status in states.TERMINAL and self.step is None

    def take(self, trigger: Trigger) -> None:
        """Move one row along the transition table; raises IllegalTransition."""
        self.status = states.after(self.status, trigger)

    def hold(self, step: Step, until: datetime, attempts: int = 0) -> None:
        """The saga's next step belongs to whoever saves this, and to anybody after `until`."""
        self.step, self.due_at, self.attempts, self.in_hand = step, until, attempts, True

    def plan(self, step: Step | None, due_at: datetime | None, attempts: int = 0) -> None:
        """The saga's next step is for anybody, from `due_at` on."""
        self.step, self.due_at, self.attempts, self.in_hand = step, due_at, attempts, False

    def capture(self) -> None:
        """The money is there."""
        self.take(Trigger.PAYMENT_CAPTURED)
        self._captured(self.total)

    def hand_over(self) -> None:
        """To the kitchen: from here on it decides whether the order can be called off."""
        self.happened.append(
            OrderConfirmed(
                customer_id=self.customer_id,
                items=self.items,
                total=self.total,
                priority=self.priority,
                scheduled_for=self.scheduled_for,
            )
        )

    def decline(self, reason: str) -> None:
        """The provider said no for good; nothing was captured."""
        self.take(Trigger.PAYMENT_DECLINED)
        self.closing = reason
        self.payment.status = PaymentStatus.DECLINED
        self.happened += [PaymentDeclined(amount=self.total), OrderCancelled(reason=reason, refunded=NOTHING)]

    def settle(self, captured: Decimal, refunded: Decimal) -> None:
        """Write down what the provider holds for this order after a refund. Repeats change nothing."""
        if captured > self.payment.captured:
            self._captured(captured)
        if refunded > self.payment.refunded:
            self.payment.refunded = refunded
            self.happened.append(PaymentRefunded(amount=refunded))
        self.payment.status = PaymentStatus.REFUNDED

    def call_off(self, reason: str) -> None:
        """End the order as cancelled; tells what has been given back until now."""
        cooking = self.status is Status.COOKING
        self.take(Trigger.KITCHEN_GAVE_UP if cooking else Trigger.CALLED_OFF)
        self.happened.append(OrderCancelled(reason=reason, refunded=self.payment.refunded))

    def ask_kitchen_to_cancel(self, reason: str) -> None:
        self.cancellation = Cancellation.REQUESTED
        self.happened.append(CancellationRequested(reason=reason))

    def _captured(self, amount: Decimal) -> None:
        self.payment.status = PaymentStatus.CAPTURED
        self.payment.captured = amount
        self.happened.append(PaymentCaptured(amount=amount))


def place(
    *,
    order_id: str,
    customer_id: str,
    items: tuple[OrderedItem, ...],
    payment_token: str,
    priority: Priority,
    scheduled_for: datetime | None,
    delivery_address: str | None,
    notes: str | None,
    traceparent: str | None,
    now: datetime,
    charge_due_at: datetime,
    estimated_ready_at: datetime | None = None,
) -> Order:
    """A new pending order; until `charge_due_at` its charge belongs to the process that places it."""
    order = Order(
        id=order_id,
        customer_id=customer_id,
        items=items,
        total=total(items),
        priority=priority,
        scheduled_for=scheduled_for,
        payment=Payment(payment_token),
        created_at=now,
        delivery_address=delivery_address,
        notes=notes,
        traceparent=traceparent,
        estimated_ready_at=estimated_ready_at,
    )
    order.hold(Step.CHARGE, charge_due_at)
    order.happened.append(
        OrderPlaced(
            customer_id=customer_id,
            items=items,
            total=order.total,
            priority=priority,
            scheduled_for=scheduled_for,
        )
    )
    return order
