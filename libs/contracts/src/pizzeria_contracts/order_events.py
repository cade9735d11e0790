"""Events of the order service. Subject: the order id."""

from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field

from pizzeria_contracts.money import CURRENCY, Amount, Currency
from pizzeria_contracts.payloads import Payload, Priority, Size, UtcTime

__all__ = [
    "CancellationRequested",
    "OrderCancelled",
    "OrderConfirmed",
    "OrderPlaced",
    "OrderedItem",
    "PaymentCaptured",
    "PaymentDeclined",
    "PaymentRefunded",
]


class OrderedItem(BaseModel):
    """One line of an order; ``unit_price`` is that of one pizza with its toppings."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pizza_id: str
    size: Size
    toppings: tuple[str, ...] = ()
    quantity: int = Field(ge=1)
    unit_price: Amount


class _OrderContent(Payload):
    customer_id: str
    items: tuple[OrderedItem, ...] = Field(min_length=1)
    total: Amount
    currency: Currency = CURRENCY
    priority: Priority = "standard"
    scheduled_for: UtcTime | None = None


class OrderPlaced(_OrderContent):
    """A customer's order was accepted; nothing is charged yet."""

    event_type: ClassVar[str] = "pizzeria.order.placed.v1"


class OrderConfirmed(_OrderContent):
    """The order is paid and goes to the kitchen."""

    event_type: ClassVar[str] = "pizzeria.order.confirmed.v1"


class CancellationRequested(Payload):
    """The customer wants out of a confirmed order; the kitchen decides (ADR 0030)."""

    event_type: ClassVar[str] = "pizzeria.order.cancellation_requested.v1"

    reason: str


class OrderCancelled(Payload):
    """The order ended without delivery; ``refunded`` is "0.00" when nothing was captured."""

    event_type: ClassVar[str] = "pizzeria.order.cancelled.v1"

    reason: str
    refunded: Amount


class PaymentCaptured(Payload):
    event_type: ClassVar[str] = "pizzeria.payment.captured.v1"

    amount: Amount


class PaymentRefunded(Payload):
    event_type: ClassVar[str] = "pizzeria.payment.refunded.v1"

    amount: Amount


class PaymentDeclined(Payload):
    event_type: ClassVar[str] = "pizzeria.payment.declined.v1"

    amount: Amount
