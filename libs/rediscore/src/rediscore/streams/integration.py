"""FastStream at the edge: its dependency injection and its AsyncAPI, not its delivery (ADR 0020).

FastStream is imported when first asked for: a service whose handlers inject nothing starts without it.
"""

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pydantic import create_model

from rediscore.streams.event import CloudEvent, event_model
from rediscore.streams.ordered import ORDERED_CONSUMER

if TYPE_CHECKING:
    from faststream.redis import RedisBroker

# The document is the same wherever the service runs, and names no real server.
_SERVER = "redis://localhost:6379"


@dataclass(frozen=True, slots=True)
class Documented:
    """A stream as the document shows it: event type → payload model."""

    stream: str
    payloads: Mapping[str, Any]
    group: str | None = None


def new_broker() -> "RedisBroker":
    """A broker that nobody starts: it carries the context and the overrides of dependencies."""
    from faststream.redis import RedisBroker

    return RedisBroker(_SERVER)


def takes_more_than_event(handler: Callable[..., Any]) -> bool:
    """Whether anything must be injected."""
    return len(inspect.signature(handler).parameters) > 1


def injected(
    handler: Callable[..., Awaitable[None]], broker: "RedisBroker"
) -> Callable[..., Awaitable[None]]:
    """The handler with its `Depends` and `Context` parameters filled in by FastDepends on each call."""
    from faststream import apply_types

    call: Callable[..., Awaitable[None]] = apply_types(
        handler,
        cast_result=False,
        dependency_provider=broker.provider,
        context__=broker.context,
    )
    return call


def asyncapi_document(
    title: str, version: str, *, receives: Sequence[Documented], sends: Sequence[Documented]
) -> dict[str, Any]:
    """The AsyncAPI 3 document of these streams; each event type is a schema of that name."""
    from faststream import AsyncAPI
    from faststream.redis import StreamSub

    broker = new_broker()
    for channel in receives:
        stream = StreamSub(channel.stream, group=channel.group, consumer=ORDERED_CONSUMER)
        subscriber = broker.subscriber(
            stream=stream, title=f"{channel.stream}:receive", description=f"Read by group {channel.group}."
        )
        for model in _models(channel):
            subscriber(_stub(model, "event"), filter=lambda _: False)
    for channel in sends:
        publisher = broker.publisher(stream=channel.stream, title=f"{channel.stream}:send")
        for model in _models(channel):
            publisher(_stub(model, "return"))
    document: dict[str, Any] = AsyncAPI(broker, title=title, version=version).to_specification().to_jsonable()
    for message in document["components"]["messages"].values():
        # FastStream speaks of its own headers; the attributes of ours are in the CloudEvent.
        message["correlationId"] = {"location": "$message.payload#/correlationid"}
    return document


def _models(channel: Documented) -> list[type[CloudEvent[Any]]]:
    models = []
    for event_type, payload in channel.payloads.items():
        only: Any = Literal[event_type]
        models.append(
            create_model(
                event_type, __base__=event_model(payload), __doc__=payload.__doc__, type=(only, event_type)
            )
        )
    return models


def _stub(model: type[CloudEvent[Any]], role: Literal["event", "return"]) -> Callable[..., Any]:
    """A function that is never called: FastStream reads the schemas of messages off annotations."""
    if role == "return":

        async def publish() -> None: ...

        stub: Callable[..., Any] = publish
    else:

        async def handle(event: Any) -> None: ...

        stub = handle
    stub.__annotations__[role] = model
    stub.__name__ = model.__name__
    return stub
