"""Orders on their way, as a fold over the feeds of order and kitchen."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

STATES = ("pending", "confirmed", "cooking", "ready", "delivering", "delivered", "cancelled")
"""In the order in which they are reached; the last two are final."""

FINAL = frozenset({"delivered", "cancelled"})

_REACHED_BY: Mapping[str, str] = {
    "pizzeria.order.placed.v1": "pending",
    "pizzeria.order.confirmed.v1": "confirmed",
    "pizzeria.kitchen.ticket_started.v1": "cooking",
    "pizzeria.kitchen.order_ready.v1": "ready",
    "pizzeria.delivery.started.v1": "delivering",
    "pizzeria.delivery.completed.v1": "delivered",
    "pizzeria.order.cancelled.v1": "cancelled",
}


@dataclass(slots=True)
class OrderOnBoard:
    """What is known of one order. `pizzas` and `total` are empty when it was placed before we looked."""

    id: str
    state: str
    pizzas: str = ""
    total: str = ""
    priority: str = "standard"


@dataclass(frozen=True, slots=True)
class Move:
    """An order has reached a state."""

    order: OrderOnBoard
    before: str | None
    after: str
    reason: str = ""


@dataclass(slots=True)
class Board:
    """The latest orders; those that ended make room first.

    The feeds of two services are folded as they come, so an event may arrive late: an order only moves
    forward, and a late event changes nothing.
    """

    limit: int = 200
    orders: dict[str, OrderOnBoard] = field(default_factory=dict)
    delivered: int = 0
    cancelled: int = 0

    def fold(self, event: Mapping[str, Any]) -> Move | None:
        """Take in one CloudEvent; the move that it means, if it means one."""
        after = _REACHED_BY.get(event["type"])
        if after is None:
            return None
        order = self.orders.get(event["subject"])
        before = order.state if order else None
        if order is None:
            order = self.orders[event["subject"]] = OrderOnBoard(event["subject"], after)
            self._make_room()
        data = event["data"]
        if "items" in data:
            order.pizzas = ", ".join(f"{item['quantity']}× {item['pizza_id']}" for item in data["items"])
            order.total = f"{data['total']} {data['currency']}"
            order.priority = data["priority"]
        if before is not None and STATES.index(after) <= STATES.index(before):
            return None
        order.state = after
        self.delivered += after == "delivered"
        self.cancelled += after == "cancelled"
        return Move(order, before, after, str(data.get("reason", "")))

    def _make_room(self) -> None:
        if len(self.orders) > self.limit:
            ended = (order.id for order in self.orders.values() if order.state in FINAL)
            del self.orders[next(ended, next(iter(self.orders)))]
