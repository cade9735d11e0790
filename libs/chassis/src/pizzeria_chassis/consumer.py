"""Consuming the events of another service: one effect each, in order per subject, none missed."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

import structlog
from pizzeria_contracts.events import Payload, payload_model, type_of
from pizzeria_contracts.streams import STREAM_TYPES, subject_name
from rediscore.retry import Backoff
from rediscore.streams import DeadLetter, Postpone, Reject, ReliableStreams, RetryPolicy, Subscriber
from rediscore.streams.event import CloudEvent, RawEvent

from pizzeria_chassis.catchup import CatchUp
from pizzeria_chassis.database import Database
from pizzeria_chassis.errors import ChassisError, DatabaseUnavailable, FeedUnavailable
from pizzeria_chassis.feed import FeedClient
from pizzeria_chassis.health import Check
from pizzeria_chassis.inbox import Inbox
from pizzeria_chassis.loops import PeriodicTask
from pizzeria_chassis.metrics import EventMetrics
from pizzeria_chassis.positions import PositionTracker
from pizzeria_chassis.subject_order import SubjectOrder
from pizzeria_chassis.telemetry import continue_trace
from pizzeria_chassis.transaction import Transaction

__all__ = ["EventConsumer"]

_log = structlog.get_logger(__name__)
HandlerT = TypeVar("HandlerT", bound=Callable[..., Awaitable[None]])
EventHandler = Callable[[Transaction, CloudEvent[Any]], Awaitable[None]]
BatchHandler = Callable[[Transaction, Sequence[RawEvent]], Awaitable[None]]

LOOK_SECONDS: Final = 0.2
SETTLE_SECONDS: Final = 0.1
FEED_RETRY_SECONDS: Final = 1.0


class EventConsumer:
    """Reads one stream of one other service.

    Guarantees: an event has its effect once, together with its row in the inbox, or it is a dead letter with
    its reason. Events of one subject are applied in sequence, also when Redis lost some of them: those come
    from the feed first. What the stream never brings is caught up from the feed within seconds.

    Handlers run inside ``Database.transact`` (so they may run again) and do nothing outside it; what a
    handler raises is tried again with backoff and becomes a dead letter after five attempts. Declare handlers
    before the streams start; every type of the stream needs a handler or ``ignore_rest``.
    """

    def __init__(
        self,
        *,
        database: Database,
        streams: ReliableStreams,
        stream: str,
        feed: FeedClient,
        partitions: int = 1,
        retry: RetryPolicy | None = None,
        metrics: EventMetrics | None = None,
    ) -> None:
        self.stream = stream
        self._database = database
        self._streams = streams
        self._feed = feed
        self._partitions = partitions
        self._retry = retry
        self._metrics = metrics
        self._inbox = Inbox(database, stream)
        self._tracker = PositionTracker()
        self._order = SubjectOrder()
        self._handlers: dict[str, EventHandler] = {}
        self._batch_handler: BatchHandler | None = None
        self._ignores_rest = False
        self._subscriber: Subscriber | None = None
        self._catch_up: CatchUp | None = None
        # Events that were tried in the present terms of reading and have not ended.
        self._in_hand: set[str] = set()
        self._terms: tuple[object, ...] = ()
        self._loaded = False
        self._saved = 0
        self._task = PeriodicTask(f"inbox:{stream}", LOOK_SECONDS, self._look, backoff=Backoff(0.2, 2.0))

    def on(self, payload: type[Payload]) -> Callable[[HandlerT], HandlerT]:
        """Register ``handler(tx: Transaction, event: CloudEvent[Payload])`` for one event type."""
        event_type = type_of(payload)
        if event_type not in STREAM_TYPES[self.stream]:
            raise ValueError(f"{event_type} does not travel on {self.stream}; choose the stream it is on.")
        if event_type in self._handlers:
            raise ValueError(f"{event_type} has a handler already; one service handles a type in one place.")

        def register(handler: HandlerT) -> HandlerT:
            self._handlers[event_type] = handler
            self._declare(batch=False)
            return handler

        return register

    def ignore_rest(self) -> None:
        """Let all other types of these contracts pass: they only move the position on."""
        self._ignores_rest = True

    def on_batch(self, handler: BatchHandler) -> BatchHandler:
        """Register ``handler(tx, events: Sequence[RawEvent])`` for all types, one transaction per batch.

        Events come as they were sent, their payloads checked, in the order of the stream; no order is
        promised for those that are caught up. An event that spoils its batch is tried alone.
        """
        self._batch_handler = handler
        self._declare(batch=True)
        return handler

    async def start(self) -> None:
        """Begin to compare with the feed; the streams component does the reading."""
        if self._catch_up is None:
            raise ChassisError(f"Nothing handles {self.stream}; register a handler before start.")
        missing = STREAM_TYPES[self.stream] - self._handlers.keys()
        if missing and not self._ignores_rest and self._batch_handler is None:
            names = ", ".join(sorted(missing))
            raise ChassisError(f"{self.stream} brings {names}; handle them or call ignore_rest().")
        await self._task.start()

    async def stop(self) -> None:
        await self._task.stop()
        if self._catch_up is not None:
            await self._catch_up.stop()
        if self._loaded:
            try:
                await self._save()
            except DatabaseUnavailable:
                _log.info("position_not_saved", stream=self.stream)
        await self._feed.aclose()

    def checks(self) -> Mapping[str, Check]:
        return self._task.checks()

    async def position(self) -> int:
        """Return the position up to which every event is applied, ignored or dead."""
        position, beyond = await self._inbox.load()
        self._tracker.reset(position)
        for place in beyond:
            self._tracker.done(place)
        return self._tracker.contiguous

    def _declare(self, *, batch: bool) -> None:
        if self._subscriber is None:
            self._subscriber = self._streams.subscriber(
                self.stream, partitions=self._partitions, batch=batch, retry=self._retry
            )
            self._subscriber.on_dead = self._on_dead
            self._catch_up = CatchUp(
                stream=self.stream,
                inbox=self._inbox,
                tracker=self._tracker,
                order=self._order,
                feed=self._feed,
                subscriber=self._subscriber,
                in_hand=self._in_hand.__contains__,
                metrics=self._metrics,
            )
        types = STREAM_TYPES[self.stream]
        handled = types if batch else self._handlers.keys()
        payloads = {event_type: payload_model(event_type) for event_type in sorted(handled)}
        if batch:
            self._subscriber.on_batch(self._receive_batch, payloads=payloads)
            return
        self._subscriber.routes.payloads.update(payloads)
        # Per type, not `on_any`: so that a type of no contract is a dead letter with that reason.
        for event_type in types:
            self._subscriber.routes.by_type[event_type] = self._receive

    async def _receive(self, event: RawEvent) -> None:
        self._in_hand.add(event.id)
        try:
            if not self._loaded:
                await self._load()
            if not self._order.follows(event):
                await self._apply_earlier(event)
            await self._apply(event)
            self._in_hand.discard(event.id)
        except DatabaseUnavailable as error:
            raise Postpone(str(error)) from error
        except FeedUnavailable as error:
            raise Postpone(str(error), delay=FEED_RETRY_SECONDS) from error

    async def _apply(self, event: RawEvent) -> None:
        handler = self._handlers.get(event.type)
        if handler is None:
            self._tracker.done(event.position, skipped=event.id)
        else:
            payload = payload_model(event.type).read(event.data)
            # Validated just now; validating the envelope again would cost and change nothing.
            typed = CloudEvent[Any].model_construct(**{**event.__dict__, "data": payload})
            names: dict[str, Any] = {subject_name(event.type): event.subject, "event_id": event.id}
            with continue_trace(event.traceparent, event.type, **names):
                applied = await self._inbox.apply(typed, handler)
                if not applied:
                    _log.debug("event_known", stream=self.stream)
            self._count("applied" if applied else "duplicate")
            self._tracker.done(event.position)
        self._order.note(event.subject, event.sequence)

    async def _apply_earlier(self, event: RawEvent) -> None:
        """Make sure that every earlier event of this subject is handled before this one.

        Usually the events in between are of other subjects and done in a moment. Else Redis lost some: the
        feed has them.
        """
        place = event.position
        if place is None or await self._tracker.reach(place - 1, SETTLE_SECONDS):
            return
        await self._load()
        after = self._tracker.contiguous
        while after < place - 1:
            page = await self._feed.page(after)
            if not page:
                return
            for earlier in page:
                after = earlier.position or after
                if after >= place:
                    return
                if earlier.subject == event.subject and not self._tracker.is_done(after):
                    await self._apply_or_leave(earlier)

    async def _apply_or_leave(self, earlier: RawEvent) -> None:
        if earlier.type not in STREAM_TYPES[self.stream]:
            return
        try:
            await self._apply(earlier)
        except (DatabaseUnavailable, FeedUnavailable):
            raise
        except Exception as error:  # noqa: BLE001 - not the fault of the event in hand, which must not pay
            # Catching up brings it again, with attempts and a dead letter of its own.
            _log.warning("earlier_event_failed", event_id=earlier.id, error=type(error).__name__)

    async def _receive_batch(self, events: Sequence[RawEvent]) -> None:
        assert self._batch_handler is not None  # noqa: S101 - declared together with this method
        for event in events:
            if event.type not in STREAM_TYPES[self.stream]:
                raise Reject(f"{event.type} is no type of {self.stream}.")
            payload_model(event.type).read(event.data)
        try:
            applied = await self._inbox.apply_batch(events, self._batch_handler)
        except DatabaseUnavailable as error:
            raise Postpone(str(error)) from error
        self._count("applied", applied)
        self._count("duplicate", len(events) - applied)
        for event in events:
            self._tracker.done(event.position)

    async def _on_dead(self, letter: DeadLetter) -> None:
        self._count("dead")
        if letter.event is not None:
            # Without a position: only the feed knows whether that is true, and catching up asks it.
            await self._inbox.bury(letter.event)
            self._order.note(letter.event.subject, letter.event.sequence)
            self._in_hand.discard(letter.event.id)

    async def _look(self) -> None:
        assert self._catch_up is not None  # noqa: S101 - start has checked it
        terms = self._present_terms()
        if not any(terms):
            self._loaded = False
        elif not self._loaded or terms != self._terms:
            # What an earlier term had in memory is gone; the stream or the feed brings it again.
            self._in_hand.clear()
            await self._load()
            self._catch_up.restart()
        self._terms = terms
        if not any(terms):
            return
        if self._tracker.gap_seconds > LOOK_SECONDS:
            await self._load()
        await self._save()
        await self._catch_up.look()

    def _present_terms(self) -> tuple[object, ...]:
        """What this instance reads now, per partition; another object is another term."""
        assert self._subscriber is not None  # noqa: S101 - start has checked it
        return tuple(reader.session for reader in self._subscriber.readers)

    async def _load(self) -> None:
        """Learn what the database knows, this process's other life and its replicas included."""
        position, beyond = await self._inbox.load()
        self._tracker.reset(position)
        for place in beyond:
            self._tracker.done(place)
        self._loaded = True

    async def _save(self) -> None:
        position, skipped = self._tracker.contiguous, dict(self._tracker.skipped)
        if position == self._saved and not skipped:
            return
        await self._inbox.save_position(position, skipped)
        self._saved = position

    def _count(self, outcome: str, events: int = 1) -> None:
        if self._metrics is not None and events:
            self._metrics.handled.labels(self.stream, outcome).inc(events)
