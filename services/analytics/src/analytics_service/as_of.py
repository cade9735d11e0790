"""How things stood at a past moment: a fold over the archive by the times of its events."""

import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from pizzeria_contracts.events import (
    DeliveryCompleted,
    DeliveryStarted,
    OrderCancelled,
    OrderConfirmed,
    OrderPlaced,
    OrderReady,
    Payload,
    PaymentCaptured,
    PaymentRefunded,
    TicketStarted,
)
from pydantic import ValidationError
from rediscore.streams import CloudEvent

STATES: Final = ("pending", "confirmed", "cooking", "ready", "delivering", "delivered", "cancelled")
_REACHED: Final[dict[type[Payload], int]] = {
    OrderPlaced: 0, OrderConfirmed: 1, TicketStarted: 2, OrderReady: 3, DeliveryStarted: 4,
    DeliveryCompleted: 5, OrderCancelled: 6,
}  # fmt: skip
_ENDED: Final = 5
_READ: Final[tuple[type[Payload], ...]] = (*_REACHED, PaymentCaptured, PaymentRefunded)
_MODELS: Final = {model.event_type: model for model in _READ}
FOLDED_TYPES: Final = frozenset(_MODELS)
_REMEMBERED: Final = timedelta(hours=1)
"""How long an ended order is remembered by name: the clocks of two services differ by less."""

SNAPSHOT_LAYOUT: Final = 1
"""Of what snapshots hold; another one is folded anew."""


class _Order(NamedTuple):
    state: int
    last: datetime


@dataclass
class Standing:
    """Popularity, money and orders by state. An order's state is the furthest that any event says, so the
    order in which events of one moment come does not matter."""

    pizzas: Counter[str] = field(default_factory=Counter)
    captured: int = 0
    refunded: int = 0
    unreadable: int = 0
    _orders: dict[str, _Order] = field(default_factory=dict)
    _ended: Counter[str] = field(default_factory=Counter)

    def add(self, event: CloudEvent[dict[str, Any]]) -> None:
        """Count one event."""
        model = _MODELS.get(event.type)
        if model is None:
            return
        try:
            payload = model.read(event.data)
        except ValidationError:
            self.unreadable += 1
            return
        if isinstance(payload, PaymentCaptured):
            self.captured += int(payload.amount * 100)
        elif isinstance(payload, PaymentRefunded):
            self.refunded += int(payload.amount * 100)
        else:
            if isinstance(payload, OrderConfirmed):
                for item in payload.items:
                    self.pizzas[item.pizza_id] += item.quantity
            before = self._orders.get(event.subject, _Order(0, event.time))
            reached = _REACHED[type(payload)]
            self._orders[event.subject] = _Order(max(before.state, reached), max(before.last, event.time))

    @property
    def orders(self) -> dict[str, int]:
        """How many orders are in each state."""
        counts = Counter(STATES[order.state] for order in self._orders.values()) + self._ended
        return {state: counts[state] for state in STATES}

    def forget_ended(self, now: datetime) -> None:
        """Keep only the number of orders that ended a while ago."""
        for order_id, order in list(self._orders.items()):
            if order.state >= _ENDED and order.last < now - _REMEMBERED:
                self._ended[STATES[order.state]] += 1
                del self._orders[order_id]

    def to_json(self) -> str:
        return json.dumps(
            {
                "pizzas": self.pizzas,
                "captured": self.captured,
                "refunded": self.refunded,
                "unreadable": self.unreadable,
                "orders": {
                    name: [order.state, order.last.isoformat()] for name, order in self._orders.items()
                },
                "ended": self._ended,
            }
        )

    @classmethod
    def from_json(cls, text: str) -> "Standing":
        found = json.loads(text)
        return cls(
            pizzas=Counter(found["pizzas"]),
            captured=found["captured"],
            refunded=found["refunded"],
            unreadable=found["unreadable"],
            _orders={
                name: _Order(state, datetime.fromisoformat(last))
                for name, (state, last) in found["orders"].items()
            },
            _ended=Counter(found["ended"]),
        )
