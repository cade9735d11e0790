"""Streams, what travels on them, and the groups that read them."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from pizzeria_contracts.events import KITCHEN_PAYLOADS, MENU_PAYLOADS, ORDER_PAYLOADS
from pizzeria_contracts.payloads import Payload

__all__ = [
    "ANALYTICS_GROUP",
    "KITCHEN",
    "KITCHEN_GROUP",
    "MENU",
    "MENU_GROUP",
    "ORDERS",
    "ORDER_GROUP",
    "STREAM_TYPES",
    "stream_of",
    "subject_name",
]

ORDERS: Final = "orders.events"
KITCHEN: Final = "kitchen.events"
MENU: Final = "menu.events"

# A group is the name of the consuming service.
ORDER_GROUP: Final = "order"
KITCHEN_GROUP: Final = "kitchen"
MENU_GROUP: Final = "menu"
ANALYTICS_GROUP: Final = "analytics"

_STREAM_PAYLOADS: Final = {ORDERS: ORDER_PAYLOADS, KITCHEN: KITCHEN_PAYLOADS, MENU: MENU_PAYLOADS}
_STREAM_OF: Final = {payload: stream for stream, payloads in _STREAM_PAYLOADS.items() for payload in payloads}

STREAM_TYPES: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        stream: frozenset(payload.event_type for payload in payloads)
        for stream, payloads in _STREAM_PAYLOADS.items()
    }
)


def stream_of(payload: Payload | type[Payload]) -> str:
    """Return the stream that events with this payload travel on.

    Raises:
        LookupError: the payload belongs to no stream.
    """
    model = payload if isinstance(payload, type) else type(payload)
    try:
        return _STREAM_OF[model]
    except KeyError:
        raise LookupError(f"{model.__name__} has no stream; add it to pizzeria_contracts.events") from None


def subject_name(event_type: str) -> str:
    """Return what the subject of events of this type is called in logs: order_id, pizza_id or ingredient."""
    match event_type.split(".")[1:2]:
        case ["menu"]:
            return "pizza_id"
        case ["stock"]:
            return "ingredient"
        case _:
            return "order_id"
