"""The handlers of one group for one stream."""

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from rediscore.streams import integration
from rediscore.streams.errors import NotActive
from rediscore.streams.event import RawEvent
from rediscore.streams.partitions import partition_of
from rediscore.streams.policy import Outcome, RetryPolicy
from rediscore.streams.processor import OnDead
from rediscore.streams.reader import Reader
from rediscore.streams.routes import (
    BatchHandler,
    EventHandler,
    Routes,
    awaitable,
    ignored_types,
    payload_type,
    typed,
)
from rediscore.streams.work import injected_work

if TYPE_CHECKING:
    from faststream.redis import RedisBroker

Mode = Literal["ordered", "competing"]
HandlerT = TypeVar("HandlerT", bound=Callable[..., Any])


class Subscriber:
    """The handlers of one group for one stream. Made by `ReliableStreams.subscriber`.

    Every event ends in one of three ways, and is acknowledged only then: its handler returned, its type
    is ignored, or a dead letter with the reason was written. Delivery is at least once: handlers must
    know duplicates by the event's id. In ordered mode the events of one subject come one after another
    in the order of the stream; those behind one that is tried again wait, those of other subjects do not.

    Set `on_dead` to be told of dead letters; the entry is acknowledged only after it returned.
    """

    def __init__(
        self,
        stream: str,
        *,
        broker: "Callable[[], RedisBroker]",
        partitions: int,
        mode: Mode,
        batch: bool,
        retry: RetryPolicy,
        prefetch: int,
        concurrency: int,
        ignore: Collection[str],
    ) -> None:
        if prefetch < 1 or concurrency < 1:
            raise ValueError("prefetch and concurrency must be at least 1.")
        self.stream = stream
        self.partitions = partitions
        self.mode = mode
        self.retry = retry
        self.prefetch = prefetch
        self.concurrency = concurrency
        self.on_dead: OnDead | None = None
        self.routes = Routes(ignored=ignored_types(ignore))
        self.readers: tuple[Reader, ...] = ()
        self._batch = batch
        self._broker = broker

    def on(self, event_type: str) -> Callable[[HandlerT], HandlerT]:
        """Register `handler(event: CloudEvent[Payload], …)` for a type; the payload is validated first.

        Further parameters are injected: `Depends(...)` and `Context(...)` of FastStream. A payload that
        does not fit is a dead letter with reason `invalid-payload`. A plain `def` runs in a thread.
        """

        def register(handler: HandlerT) -> HandlerT:
            self._refuse_batch("on")
            if event_type in self.routes.by_type:
                raise ValueError(f"{event_type} of {self.stream} has a handler already.")
            payload = payload_type(handler)
            call = awaitable(handler)
            if integration.takes_more_than_event(handler):
                call = integration.injected(call, self._broker())
            self.routes.by_type[event_type] = typed(call, payload)
            self.routes.payloads[event_type] = payload
            return handler

        return register

    def on_any(self, handler: EventHandler, *, payloads: Mapping[str, Any] | None = None) -> EventHandler:
        """Register a handler for all types that have none, with data as it came.

        Args:
            payloads: event type → payload model, for the AsyncAPI document only.
        """
        self._refuse_batch("on_any")
        self.routes.any = handler
        self.routes.payloads.update(payloads or {})
        return handler

    def on_batch(self, handler: BatchHandler, *, payloads: Mapping[str, Any] | None = None) -> BatchHandler:
        """Register the handler of a subscriber made with `batch=True`: all its events, in order.

        When it fails, each event of that batch is given to it alone, so one bad event is one dead letter,
        and holds back its own subject only.
        """
        if not self._batch:
            raise ValueError(f"Make the subscriber of {self.stream} with batch=True to handle batches.")
        self.routes.batch = handler
        self.routes.payloads.update(payloads or {})
        return handler

    def active(self, partition: int = 0) -> bool:
        """Whether this instance reads that partition now. No round trip."""
        return bool(self.readers) and self.readers[partition].session is not None

    async def inject(self, event: RawEvent) -> Outcome:
        """Handle an event that came by another road, as if it had been read, and wait for its end.

        It goes through the lane of its subject, with the same retries and dead letters.

        Raises: NotActive when this instance is not the reader of its partition, or stops being it
            before the end; the event may have been handled then.
        """
        session = self.readers[partition_of(event.subject, self.partitions)].session if self.readers else None
        if session is None:
            raise NotActive(f"This instance does not read {self.stream}.")
        work, done = injected_work(event)
        session.admit([work], asked=0.0)
        return await done

    def _refuse_batch(self, verb: str) -> None:
        if self._batch:
            raise ValueError(f"{self.stream} is handled in batches: use on_batch, not {verb}.")
