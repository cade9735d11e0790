"""Events of the kitchen. Subject: the order id; for stock the ingredient."""

from typing import ClassVar, Self

from pydantic import Field

from pizzeria_contracts.payloads import Payload, UtcTime

__all__ = [
    "CancellationAccepted",
    "CancellationRefused",
    "DeliveryCompleted",
    "DeliveryStarted",
    "OrderReady",
    "StockLow",
    "StockRestored",
    "TicketAccepted",
    "TicketCompleted",
    "TicketCompletedV2",
    "TicketRejected",
    "TicketStarted",
]


class TicketAccepted(Payload):
    """Ingredients are reserved; ``tickets`` are the ids of the order's tickets, one per pizza."""

    event_type: ClassVar[str] = "pizzeria.kitchen.ticket_accepted.v1"

    tickets: tuple[str, ...] = Field(min_length=1)
    estimated_ready_at: UtcTime


class TicketRejected(Payload):
    """The kitchen cannot make this order; ``ingredients`` are the slugs of what is short."""

    event_type: ClassVar[str] = "pizzeria.kitchen.ticket_rejected.v1"

    reason: str
    ingredients: tuple[str, ...] = ()


class TicketStarted(Payload):
    event_type: ClassVar[str] = "pizzeria.kitchen.ticket_started.v1"

    ticket_id: str
    station_id: str


class TicketCompleted(Payload):
    """A pizza is done; ``seconds`` from its start to its end."""

    event_type: ClassVar[str] = "pizzeria.kitchen.ticket_completed.v1"

    ticket_id: str
    station_id: str
    seconds: float = Field(ge=0)


class TicketCompletedV2(Payload):
    """A pizza is done; ``milliseconds`` from its start to its end, as everybody counts them."""

    event_type: ClassVar[str] = "pizzeria.kitchen.ticket_completed.v2"
    older: ClassVar[type[Payload] | None] = TicketCompleted

    ticket_id: str
    station_id: str
    milliseconds: int = Field(ge=0)

    @classmethod
    def upcast(cls, old: TicketCompleted) -> Self:
        return cls(ticket_id=old.ticket_id, station_id=old.station_id, milliseconds=round(old.seconds * 1000))


class OrderReady(Payload):
    """The last ticket of the order is completed."""

    event_type: ClassVar[str] = "pizzeria.kitchen.order_ready.v1"


class CancellationAccepted(Payload):
    """No ticket had been started: all are cancelled, the stock is released."""

    event_type: ClassVar[str] = "pizzeria.kitchen.cancellation_accepted.v1"


class CancellationRefused(Payload):
    """Cooking has begun and goes on."""

    event_type: ClassVar[str] = "pizzeria.kitchen.cancellation_refused.v1"


class DeliveryStarted(Payload):
    event_type: ClassVar[str] = "pizzeria.delivery.started.v1"

    driver_id: str


class DeliveryCompleted(Payload):
    event_type: ClassVar[str] = "pizzeria.delivery.completed.v1"

    driver_id: str


class StockLow(Payload):
    """An ingredient fell below its threshold."""

    event_type: ClassVar[str] = "pizzeria.stock.low.v1"

    ingredient: str


class StockRestored(Payload):
    """An ingredient is above its threshold again."""

    event_type: ClassVar[str] = "pizzeria.stock.restored.v1"

    ingredient: str
