"""The shapes of answers."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

from pizzeria_contracts.events import OrderCancelled, OrderConfirmed, OrderPlaced
from pizzeria_contracts.money import Money
from pizzeria_contracts.payloads import Priority, Size
from pydantic import BaseModel, ConfigDict, Field

from order_service.domain.order import Cancellation, Order, PaymentStatus
from order_service.domain.records import Customer, JourneyEntry, Letter
from order_service.domain.states import Status


class _View(BaseModel):
    model_config = ConfigDict(frozen=True)


class SessionView(_View):
    token: str
    customer_id: str
    expires_at: datetime


class CustomerView(_View):
    id: str
    name: str
    phone: str | None
    email: str | None
    created_at: datetime

    @classmethod
    def of(cls, customer: Customer) -> "CustomerView":
        return cls.model_validate(vars(customer))


class ItemView(_View):
    pizza_id: str
    size: Size
    toppings: tuple[str, ...]
    quantity: int
    unit_price: Money


class PaymentView(_View):
    status: PaymentStatus
    captured: Money
    refunded: Money


class OrderView(_View):
    id: str
    status: Status
    items: tuple[ItemView, ...]
    total: Money
    payment: PaymentView
    priority: Priority
    scheduled_for: datetime | None
    estimated_ready_at: datetime | None
    cancellation: Cancellation | None
    created_at: datetime
    version: int

    @classmethod
    def of(cls, order: Order) -> "OrderView":
        return cls(
            id=order.id,
            status=order.status,
            items=tuple(
                ItemView(
                    pizza_id=item.pizza_id,
                    size=item.size,
                    toppings=item.toppings,
                    quantity=item.quantity,
                    unit_price=_money(item.unit_price),
                )
                for item in order.items
            ),
            total=_money(order.total),
            payment=PaymentView(
                status=order.payment.status,
                captured=_money(order.payment.captured),
                refunded=_money(order.payment.refunded),
            ),
            priority=order.priority,
            scheduled_for=order.scheduled_for,
            estimated_ready_at=order.estimated_ready_at,
            cancellation=order.cancellation,
            created_at=order.created_at,
            version=order.version,
        )


class OrderPage(_View):
    items: tuple[OrderView, ...]
    next: str | None


class LetterView(_View):
    id: str
    order_id: str
    kind: str
    content: Mapping[str, object]
    created_at: datetime

    @classmethod
    def of(cls, letter: Letter) -> "LetterView":
        return cls.model_validate(vars(letter))


class LetterPage(_View):
    items: tuple[LetterView, ...]
    next: str | None


class JourneyLine(_View):
    time: datetime
    type: str
    source: str
    trace_id: str | None
    state: Status | None = Field(description="The order's state after this, where it tells one.")
    detail: Mapping[str, object]

    @classmethod
    def of(cls, entry: JourneyEntry) -> "JourneyLine":
        state = _STATES.get(entry.type, entry.detail.get("status"))
        return cls.model_validate({**vars(entry), "state": state})


class JourneyPage(_View):
    items: tuple[JourneyLine, ...]
    next: str | None
    missing: tuple[str, ...] = ()


# What the kitchen tells is noted with the state that it led to; what we tell says it by its type.
_STATES = {
    OrderPlaced.event_type: Status.PENDING,
    OrderConfirmed.event_type: Status.CONFIRMED,
    OrderCancelled.event_type: Status.CANCELLED,
}


def render_order(order: Order) -> str:
    """The JSON of an order, the same bytes for the same state."""
    return OrderView.of(order).model_dump_json()


def _money(amount: Decimal) -> Money:
    return Money(amount=amount)
