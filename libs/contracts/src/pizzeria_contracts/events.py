"""All event types of the pizzeria, and the way from a type to its payload and back."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from pizzeria_contracts.kitchen_events import (
    CancellationAccepted,
    CancellationRefused,
    DeliveryCompleted,
    DeliveryStarted,
    OrderReady,
    StockLow,
    StockRestored,
    TicketAccepted,
    TicketCompleted,
    TicketRejected,
    TicketStarted,
)
from pizzeria_contracts.menu_events import MenuItemChanged, MenuItemRestored, MenuItemWithdrawn
from pizzeria_contracts.order_events import (
    CancellationRequested,
    OrderCancelled,
    OrderConfirmed,
    OrderedItem,
    OrderPlaced,
    PaymentCaptured,
    PaymentDeclined,
    PaymentRefunded,
)
from pizzeria_contracts.payloads import Payload

__all__ = [
    "EVENT_TYPES",
    "KITCHEN_PAYLOADS",
    "MENU_PAYLOADS",
    "ORDER_PAYLOADS",
    "CancellationAccepted",
    "CancellationRefused",
    "CancellationRequested",
    "DeliveryCompleted",
    "DeliveryStarted",
    "MenuItemChanged",
    "MenuItemRestored",
    "MenuItemWithdrawn",
    "OrderCancelled",
    "OrderConfirmed",
    "OrderPlaced",
    "OrderReady",
    "OrderedItem",
    "Payload",
    "PaymentCaptured",
    "PaymentDeclined",
    "PaymentRefunded",
    "StockLow",
    "StockRestored",
    "TicketAccepted",
    "TicketCompleted",
    "TicketRejected",
    "TicketStarted",
    "payload_model",
    "type_of",
]

ORDER_PAYLOADS: Final[tuple[type[Payload], ...]] = (
    OrderPlaced,
    OrderConfirmed,
    CancellationRequested,
    OrderCancelled,
    PaymentCaptured,
    PaymentRefunded,
    PaymentDeclined,
)
KITCHEN_PAYLOADS: Final[tuple[type[Payload], ...]] = (
    TicketAccepted,
    TicketRejected,
    TicketStarted,
    TicketCompleted,
    OrderReady,
    CancellationAccepted,
    CancellationRefused,
    DeliveryStarted,
    DeliveryCompleted,
    StockLow,
    StockRestored,
)
MENU_PAYLOADS: Final[tuple[type[Payload], ...]] = (MenuItemChanged, MenuItemWithdrawn, MenuItemRestored)

EVENT_TYPES: Final[Mapping[type[Payload], str]] = MappingProxyType(
    {payload: payload.event_type for payload in (*ORDER_PAYLOADS, *KITCHEN_PAYLOADS, *MENU_PAYLOADS)}
)
_MODELS: Final = {event_type: payload for payload, event_type in EVENT_TYPES.items()}


def type_of(payload: Payload | type[Payload]) -> str:
    """Return the CloudEvents ``type`` of a payload or of its class."""
    return payload.event_type


def payload_model(event_type: str) -> type[Payload]:
    """Return the payload class of ``event_type``.

    Raises:
        LookupError: no such type in these contracts.
    """
    try:
        return _MODELS[event_type]
    except KeyError:
        raise LookupError(
            f"no event type {event_type!r} in these contracts; update pizzeria-contracts"
        ) from None
