"""What the projections are made of: a fold over archived events.

All of it is counting, so the order of events does not matter (none is promised across streams), and
the tallies of two batches add up to the tally of both.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date
from decimal import Decimal
from typing import Any

import structlog
from pizzeria_contracts.events import (
    DeliveryCompleted,
    OrderCancelled,
    OrderConfirmed,
    OrderPlaced,
    Payload,
    PaymentCaptured,
    PaymentRefunded,
)
from pydantic import ValidationError
from rediscore.streams import CloudEvent

log = structlog.get_logger()

_COUNTED: dict[type[Payload], str] = {
    OrderPlaced: "placed",
    OrderCancelled: "cancelled",
    DeliveryCompleted: "delivered",
}
_READ: tuple[type[Payload], ...] = (*_COUNTED, OrderConfirmed, PaymentCaptured, PaymentRefunded)
_FOLDED = {model.event_type: model for model in _READ}


@dataclass(frozen=True)
class Hour:
    """One count of one hour (UTC): `placed`, `cancelled`, `delivered`, `captured` or `refunded`."""

    day: date
    hour: int
    what: str

    def __str__(self) -> str:
        return f"{self.day.isoformat()}:{self.hour:02}:{self.what}"

    @classmethod
    def parse(cls, text: str) -> "Hour":
        day, hour, what = text.split(":")
        return cls(date.fromisoformat(day), int(hour), what)


@dataclass
class Tally:
    """Counts of some events; money is counted in cents."""

    pizzas: Counter[str] = field(default_factory=Counter)
    hours: Counter[Hour] = field(default_factory=Counter)
    unreadable: int = 0

    def add(self, event: CloudEvent[dict[str, Any]]) -> None:
        """Count one event. One whose data is not what its type promises is counted as unreadable."""
        model = _FOLDED.get(event.type)
        if model is None:
            return
        try:
            payload = model.read(event.data)
        except ValidationError:
            # Counted and skipped, not raised: the fold must get past it, today and at every rebuild.
            self.unreadable += 1
            log.warning("fold.unreadable_event", event_id=event.id, type=event.type)
            return
        if isinstance(payload, OrderConfirmed):
            for item in payload.items:
                self.pizzas[item.pizza_id] += item.quantity
        elif isinstance(payload, PaymentCaptured | PaymentRefunded):
            what = "captured" if isinstance(payload, PaymentCaptured) else "refunded"
            self._count(event, what, _cents(payload.amount))
        else:
            self._count(event, _COUNTED[type(payload)], 1)

    def _count(self, event: CloudEvent[dict[str, Any]], what: str, amount: int) -> None:
        at = event.time.astimezone(UTC)
        self.hours[Hour(at.date(), at.hour, what)] += amount


def fold(events: Iterable[CloudEvent[dict[str, Any]]]) -> Tally:
    """The tally of these events."""
    tally = Tally()
    for event in events:
        tally.add(event)
    return tally


def _cents(amount: Decimal) -> int:
    return int(amount * 100)
