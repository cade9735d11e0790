"""What is known of one order: its archived events, read."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Generic, NamedTuple, TypeVar, cast

import structlog
from pizzeria_contracts.events import (
    DeliveryCompleted,
    OrderCancelled,
    OrderConfirmed,
    OrderPlaced,
    OrderReady,
    Payload,
    PaymentCaptured,
    PaymentRefunded,
    TicketAccepted,
    TicketCompletedV2,
    TicketStarted,
    read_as,
    versions,
)
from pydantic import ValidationError
from rediscore.streams import CloudEvent

_log = structlog.get_logger(__name__)

P = TypeVar("P", bound=Payload)

_READ: Final[tuple[type[Payload], ...]] = (
    OrderPlaced, OrderConfirmed, OrderCancelled, PaymentCaptured, PaymentRefunded,
    TicketAccepted, TicketStarted, TicketCompletedV2, OrderReady, DeliveryCompleted,
)  # fmt: skip
_MODELS: Final = {event_type: model for model in _READ for event_type in versions(model)}
READ_TYPES: Final = frozenset(_MODELS)
"""Types of events that any projection looks at; the others change nothing."""


class Told(NamedTuple, Generic[P]):
    """What was told, and when (UTC)."""

    at: datetime
    what: P


@dataclass
class Story:
    """The events of one order in the order of their times, whatever order they were archived in."""

    _told: dict[type[Payload], list[Told[Any]]] = field(default_factory=dict)
    unreadable: int = 0
    """Events whose data is not what their type promises."""

    def all(self, kind: type[P]) -> list[Told[P]]:
        return cast("list[Told[P]]", self._told.get(kind, []))

    def first(self, kind: type[P]) -> Told[P] | None:
        """The earliest of its kind: who tells a thing twice changes nothing by it."""
        return next(iter(self.all(kind)), None)

    @property
    def content(self) -> OrderPlaced | OrderConfirmed | None:
        """What was ordered, by whom."""
        placed, confirmed = self.first(OrderPlaced), self.first(OrderConfirmed)
        if placed is not None:
            return placed.what
        return confirmed.what if confirmed is not None else None

    @property
    def scheduled(self) -> bool:
        """Ordered for later: that it waited is no delay."""
        return self.content is not None and self.content.scheduled_for is not None


def read_story(events: Iterable[CloudEvent[dict[str, Any]]]) -> Story:
    """The story that these events of one order tell, in whatever order they come."""
    story = Story()
    for event in sorted(events, key=lambda event: (event.time, event.id)):
        model = _MODELS.get(event.type)
        if model is None:
            continue
        try:
            payload = read_as(model, event.type, event.data)
        except ValidationError:
            # Counted and passed, not raised: the fold must get past it, today and at every rebuild.
            story.unreadable += 1
            _log.debug("unreadable_event", event_id=event.id, type=event.type)
            continue
        story._told.setdefault(model, []).append(Told(event.time.astimezone(UTC), payload))
    return story
