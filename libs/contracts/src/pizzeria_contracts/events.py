"""All event types of the pizzeria, and the way from a type to its payload and back."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, TypeVar

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
    TicketCompletedV2,
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
    "TicketCompletedV2",
    "TicketRejected",
    "TicketStarted",
    "payload_model",
    "read_as",
    "type_of",
    "versions",
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
    TicketCompletedV2,
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
P = TypeVar("P", bound=Payload)
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


def versions(payload: type[Payload]) -> Mapping[str, type[Payload]]:
    """Return the event types that can be read as ``payload``: its own and those of all versions before."""
    found = {payload.event_type: payload}
    return found if payload.older is None else {**found, **versions(payload.older)}


def read_as(payload: type[P], event_type: str, data: Any) -> P:
    """Return the ``data`` of an event as ``payload``, made from an older version where it is one.

    Raises:
        LookupError: ``event_type`` is no version of it.
        pydantic.ValidationError: a known field is missing or wrong.
    """
    if event_type == payload.event_type:
        return payload.read(data)
    if payload.older is None:
        raise LookupError(f"{event_type} cannot be read as {payload.event_type}")
    return payload.upcast(read_as(payload.older, event_type, data))
