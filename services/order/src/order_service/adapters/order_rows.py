"""An order as a row of the table `orders`, and back."""

from typing import Any

from pizzeria_contracts.events import OrderedItem
from sqlalchemy import Row

from order_service.domain.order import Cancellation, Order, Payment, PaymentStatus
from order_service.domain.saga import Step
from order_service.domain.states import Status


def as_row(order: Order) -> dict[str, Any]:
    """All columns, for a new order."""
    return {
        "id": order.id,
        "customer_id": order.customer_id,
        "items": [item.model_dump(mode="json") for item in order.items],
        "total": order.total,
        "priority": order.priority,
        "scheduled_for": order.scheduled_for,
        "delivery_address": order.delivery_address,
        "notes": order.notes,
        "payment_token": order.payment.token,
        "traceparent": order.traceparent,
        "created_at": order.created_at,
        "pizzas": order.pizzas,
        **as_changes(order),
    }


def as_changes(order: Order) -> dict[str, Any]:
    """The columns that change in the life of an order."""
    return {
        "status": order.status,
        "version": order.version,
        "payment_status": order.payment.status,
        "captured": order.payment.captured,
        "refunded": order.payment.refunded,
        "cancellation": order.cancellation,
        "closing": order.closing,
        "estimated_ready_at": order.estimated_ready_at,
        "saga_step": order.step,
        "saga_due_at": order.due_at,
        "saga_attempts": order.attempts,
    }


def as_order(row: Row[Any]) -> Order:
    return Order(
        id=row.id,
        customer_id=row.customer_id,
        status=Status(row.status),
        version=row.version,
        items=tuple(OrderedItem.model_validate(item) for item in row.items),
        total=row.total,
        priority=row.priority,
        scheduled_for=row.scheduled_for,
        delivery_address=row.delivery_address,
        notes=row.notes,
        payment=Payment(
            token=row.payment_token,
            status=PaymentStatus(row.payment_status),
            captured=row.captured,
            refunded=row.refunded,
        ),
        cancellation=Cancellation(row.cancellation) if row.cancellation else None,
        closing=row.closing,
        estimated_ready_at=row.estimated_ready_at,
        step=Step(row.saga_step) if row.saga_step else None,
        due_at=row.saga_due_at,
        attempts=row.saga_attempts,
        traceparent=row.traceparent,
        created_at=row.created_at,
    )
