"""An order as the kitchen sees it. Its row is the lock under which claims and cancellations are decided."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from kitchen_service.domain.errors import OtherDriver
from kitchen_service.domain.transitions import advance


class OrderStatus(StrEnum):
    ACCEPTED = "accepted"
    COOKING = "cooking"
    READY = "ready"
    DELIVERING = "delivering"
    DELIVERED = "delivered"
    REJECTED = "rejected"
    CANCELLED = "cancelled"


class OrderStep(StrEnum):
    COOK = "cook"
    FINISH = "finish"
    GIVE_UP = "give-up"
    CANCEL = "cancel"
    WITHDRAW = "withdraw"
    DEPART = "depart"
    ARRIVE = "arrive"


ORDER_TRANSITIONS: Mapping[tuple[OrderStatus, OrderStep], OrderStatus] = {
    (OrderStatus.ACCEPTED, OrderStep.COOK): OrderStatus.COOKING,
    (OrderStatus.COOKING, OrderStep.COOK): OrderStatus.COOKING,
    (OrderStatus.COOKING, OrderStep.FINISH): OrderStatus.READY,
    (OrderStatus.COOKING, OrderStep.GIVE_UP): OrderStatus.REJECTED,
    # The guest asks: possible until the first pizza is started.
    (OrderStatus.ACCEPTED, OrderStep.CANCEL): OrderStatus.CANCELLED,
    # The order service has cancelled and refunded (its deadline passed): we stop where we still can.
    (OrderStatus.ACCEPTED, OrderStep.WITHDRAW): OrderStatus.CANCELLED,
    (OrderStatus.COOKING, OrderStep.WITHDRAW): OrderStatus.CANCELLED,
    (OrderStatus.READY, OrderStep.WITHDRAW): OrderStatus.CANCELLED,
    (OrderStatus.READY, OrderStep.DEPART): OrderStatus.DELIVERING,
    (OrderStatus.DELIVERING, OrderStep.ARRIVE): OrderStatus.DELIVERED,
}

GONE = frozenset({OrderStatus.REJECTED, OrderStatus.CANCELLED})
"""Nothing more is started for these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KitchenOrder:
    id: str
    status: OrderStatus
    created_at: datetime
    estimated_ready_at: datetime | None = None
    driver_id: str | None = None
    ready_at: datetime | None = None
    departed_at: datetime | None = None
    arrived_at: datetime | None = None

    @property
    def gone(self) -> bool:
        return self.status in GONE

    def may(self, step: OrderStep) -> bool:
        return (self.status, step) in ORDER_TRANSITIONS

    def take(self, step: OrderStep) -> "KitchenOrder":
        """The order after a step that needs no more than its name. Raises: WrongState."""
        return replace(self, status=self._after(step))

    def finish(self, now: datetime) -> "KitchenOrder":
        """All pizzas are cooked: a driver may take it."""
        return replace(self, status=self._after(OrderStep.FINISH), ready_at=now)

    def depart(self, driver_id: str, now: datetime) -> "KitchenOrder":
        """Out for delivery. The same driver once more changes nothing.

        Raises: OtherDriver, WrongState when it is not ready.
        """
        if self.status in (OrderStatus.DELIVERING, OrderStatus.DELIVERED):
            self._check_driver(driver_id)
            return self
        return replace(self, status=self._after(OrderStep.DEPART), driver_id=driver_id, departed_at=now)

    def arrive(self, driver_id: str | None, now: datetime) -> "KitchenOrder":
        """Delivered. Once more changes nothing. `driver_id` None: whoever took it.

        Raises: OtherDriver, WrongState when nobody has taken it.
        """
        if self.status in (OrderStatus.DELIVERING, OrderStatus.DELIVERED) and driver_id is not None:
            self._check_driver(driver_id)
        if self.status is OrderStatus.DELIVERED:
            return self
        return replace(self, status=self._after(OrderStep.ARRIVE), arrived_at=now)

    def _check_driver(self, driver_id: str) -> None:
        if driver_id != self.driver_id:
            raise OtherDriver(self.id)

    def _after(self, step: OrderStep) -> OrderStatus:
        return advance(ORDER_TRANSITIONS, self.status, step, what="Order", name=self.id)
