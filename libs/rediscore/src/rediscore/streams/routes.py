"""From an event to the function that handles it."""

import asyncio
import functools
import inspect
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, get_type_hints

from pydantic import TypeAdapter
from pydantic_core import to_json

from rediscore.streams.event import CloudEvent, RawEvent, event_model

EventHandler = Callable[[RawEvent], Awaitable[None]]
BatchHandler = Callable[[Sequence[RawEvent]], Awaitable[None]]


@dataclass(slots=True)
class Routes:
    """Handlers of one subscriber. `payloads` is what the documentation shows."""

    ignored: frozenset[str] = frozenset()
    by_type: dict[str, EventHandler] = field(default_factory=dict)
    any: EventHandler | None = None
    batch: BatchHandler | None = None
    payloads: dict[str, Any] = field(default_factory=dict)

    def ignores(self, event_type: str) -> bool:
        """Whether events of that type are acknowledged unseen."""
        return event_type in self.ignored

    def handler(self, event_type: str) -> EventHandler | None:
        """Who handles that type; None: nobody knows it."""
        return self.by_type.get(event_type) or self.any


def ignored_types(types: Collection[str]) -> frozenset[str]:
    """The types to ignore; refuses a lone string, which is a collection of letters."""
    if isinstance(types, str):
        raise TypeError(f"ignore takes a collection of types: ignore={{{types!r}}}.")
    return frozenset(types)


def payload_type(handler: Callable[..., Any]) -> Any:
    """The payload that a handler asks for: `Payload` in `event: CloudEvent[Payload]`."""
    name = next(iter(inspect.signature(handler).parameters), None)
    if name is None:
        raise TypeError(f"{handler!r} must take the event as its first argument.")
    annotation = get_type_hints(handler).get(name)
    if not (isinstance(annotation, type) and issubclass(annotation, CloudEvent)):
        raise TypeError(f"Annotate the first argument of {handler!r} as CloudEvent[YourPayload].")
    arguments = annotation.__pydantic_generic_metadata__["args"]
    return arguments[0] if arguments else dict[str, Any]


def typed(handler: Callable[..., Awaitable[None]], payload: Any) -> EventHandler:
    """The handler behind a validation of the payload (pydantic's ValidationError when it does not fit)."""
    validate = TypeAdapter(payload).validate_json
    model = event_model(payload)

    async def call(event: RawEvent) -> None:
        # Through JSON again: strict payload models take text for times and decimals from JSON only.
        data = validate(to_json(event.data))
        await handler(model.model_construct(**{**event.__dict__, "data": data}))

    return call


def awaitable(handler: Callable[..., Any]) -> Callable[..., Awaitable[None]]:
    """The handler itself when it is async; a plain function runs in a thread."""
    if inspect.iscoroutinefunction(handler):
        return handler

    @functools.wraps(handler)
    async def in_thread(*args: Any, **kwargs: Any) -> None:
        await asyncio.to_thread(handler, *args, **kwargs)

    return in_thread
