"""What guests are told of their orders. Pure."""

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Final

from pizzeria_contracts.money import Money

from order_service.domain.order import Order, PaymentStatus


class Notice(StrEnum):
    CONFIRMED = "confirmed"
    COOKING = "cooking"
    READY = "ready"
    DELIVERING = "delivering"
    DELIVERED = "delivered"
    DECLINED = "payment_declined"
    CANCELLED = "cancelled"
    REFUNDED = "refunded"


SUBJECTS: Final[Mapping[Notice, str]] = {
    Notice.CONFIRMED: "Your order is confirmed: here is your receipt",
    Notice.COOKING: "Your order is being cooked",
    Notice.READY: "Your order is ready",
    Notice.DELIVERING: "Your order is on its way",
    Notice.DELIVERED: "Your order has been delivered: enjoy",
    Notice.DECLINED: "Your payment was declined",
    Notice.CANCELLED: "Your order was cancelled",
    Notice.REFUNDED: "Your money is on its way back",
}


def notice_of(before: Order, after: Order) -> Notice | None:
    """What the guest is to be told of this change, if anything. Of several states at once the last counts."""
    if after.status is not before.status:
        if after.payment.status is PaymentStatus.DECLINED:
            return Notice.DECLINED
        return Notice(after.status)
    if before.payment.status is PaymentStatus.REFUND_PENDING and not _owed(after):
        return Notice.REFUNDED
    return None


def content(notice: Notice, order: Order) -> dict[str, object]:
    """What the letter says, as JSON. It names nobody and no address."""
    said: dict[str, object] = {"subject": SUBJECTS[notice]}
    if notice is Notice.CONFIRMED:
        said["lines"] = [
            {
                "pizza_id": item.pizza_id,
                "size": item.size,
                "toppings": list(item.toppings),
                "quantity": item.quantity,
                "unit_price": _money(item.unit_price),
                "amount": _money(item.unit_price * item.quantity),
            }
            for item in order.items
        ]
        said["total"] = said["paid"] = _money(order.total)
    if notice in (Notice.CANCELLED, Notice.DECLINED):
        said["reason"] = order.closing
    if notice in (Notice.CANCELLED, Notice.REFUNDED):
        said["refunded"] = _money(order.payment.refunded)
        said["refund_pending"] = _owed(order)
    return said


def _owed(order: Order) -> bool:
    return order.payment.status is PaymentStatus.REFUND_PENDING


def _money(amount: Decimal) -> dict[str, str]:
    return Money(amount=amount).model_dump(mode="json")
