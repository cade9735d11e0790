"""Consuming the events of another service: one effect each, in order per subject, none missed."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final, TypeVar

import structlog
from pizzeria_contracts.events import Payload, payload_model, read_as, versions
from pizzeria_contracts.streams import STREAM_TYPES, subject_name
from rediscore.retry import Backoff
from rediscore.streams import (
    DeadLetter,
    Postpone,
    Reject,
    ReliableStreams,
    RetryPolicy,
    Subscriber,
    sent_again,
)
from rediscore.streams.event import CloudEvent, RawEvent

from pizzeria_chassis.catchup import CatchUp
from pizzeria_chassis.database import Database
from pizzeria_chassis.errors import ChassisError, DatabaseUnavailable, FeedUnavailable
from pizzeria_chassis.feed import FeedClient
from pizzeria_chassis.forgetting import forget_handled
from pizzeria_chassis.health import Check
from pizzeria_chassis.inbox import Inbox, Wish
from pizzeria_chassis.letter_copies import LetterCopies
from pizzeria_chassis.loops import PeriodicTask
from pizzeria_chassis.metrics import EventMetrics
from pizzeria_chassis.positions import PositionTracker
from pizzeria_chassis.redrives import Redrives
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
FORGET_SECONDS: Final = 60.0
PAUSED_SECONDS: Final = 0.5


class EventConsumer:
    """Reads one stream of one other service.

    Guarantees: an event has its effect once, together with its row in the inbox, or it is a dead letter with
    its reason. Events of one subject are applied in sequence, also when Redis lost some of them: those come
    from the feed first. What the stream never brings is caught up from the feed within seconds.

    Handlers run inside ``Database.transact`` (so they may run again) and do nothing outside it; what a
    handler raises is tried again with backoff and becomes a dead letter after five attempts. It waits in the
    database for an operator: however often it comes again, it is handled again only when that is wished.
    Declare handlers before the streams start; every type of the stream needs one or ``ignore_rest``.

    Args:
        copies: where letters lie in Redis as well; they go when their letter here is decided upon.
        keep: for how long the inbox remembers single events below the position.
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
        copies: LetterCopies | None = None,
        keep: timedelta = timedelta(days=7),
    ) -> None:
        self.stream = stream
        self.feed = feed
        self.partitions = partitions
        self.paused: Callable[[str], bool] = lambda _: False
        """Whether to let a stream lie for the moment; asked before each event."""
        self._database = database
        self._streams = streams
        self._retry = retry
        self._metrics = metrics
        self._inbox = Inbox(database, stream)
        self._tracker = PositionTracker()
        self._order = SubjectOrder()
        self._handlers: dict[str, EventHandler] = {}
        self._wanted: dict[str, type[Payload]] = {}
        self._batch_handler: BatchHandler | None = None
        self._ignores_rest = False
        self._subscriber: Subscriber | None = None
        self._catch_up: CatchUp | None = None
        self._redrives: Redrives | None = None
        self._copies = copies
        self._keep = keep
        self._forget_at = 0.0
        self._terms: tuple[object, ...] = ()
        self._loaded = False
        self._saved = 0
        self._task = PeriodicTask(f"inbox:{stream}", LOOK_SECONDS, self._look, backoff=Backoff(0.2, 2.0))

    def on(self, payload: type[Payload]) -> Callable[[HandlerT], HandlerT]:
        """Register ``handler(tx: Transaction, event: CloudEvent[Payload])`` for one event type.

        Events of its older versions come to the same handler, their data made into this version.
        """
        types = versions(payload)
        for event_type in types:
            if event_type not in STREAM_TYPES[self.stream]:
                raise ValueError(
                    f"{event_type} does not travel on {self.stream}; choose the stream it is on."
                )
            if event_type in self._handlers:
                raise ValueError(
                    f"{event_type} has a handler already; one service handles a type in one place."
                )

        def register(handler: HandlerT) -> HandlerT:
            self._handlers.update(dict.fromkeys(types, handler))
            self._wanted.update(dict.fromkeys(types, payload))
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
        if self._catch_up is not None and self._redrives is not None:
            await self._catch_up.stop()
            await self._redrives.stop()
        if self._loaded:
            try:
                await self._save()
            except DatabaseUnavailable:
                _log.info("position_not_saved", stream=self.stream)
        await self.feed.aclose()

    def checks(self) -> Mapping[str, Check]:
        return self._task.checks()

    async def position(self) -> int:
        """Return the position up to which every event is applied, ignored or dead."""
        position, beyond = await self._inbox.load()
        self._tracker.reset(position)
        for place in beyond:
            self._tracker.done(place)
        return self._tracker.contiguous

    def redrive_soon(self) -> None:
        """Look for letters to redrive with the next turn instead of within two seconds."""
        if self._redrives is not None:
            self._redrives.soon()

    def _declare(self, *, batch: bool) -> None:
        if self._subscriber is None:
            self._subscriber = self._streams.subscriber(
                self.stream, partitions=self.partitions, batch=batch, retry=self._retry
            )
            self._subscriber.on_dead = self._on_dead
            self._catch_up = CatchUp(
                stream=self.stream,
                inbox=self._inbox,
                tracker=self._tracker,
                order=self._order,
                feed=self.feed,
                subscriber=self._subscriber,
                metrics=self._metrics,
            )
            self._redrives = Redrives(
                stream=self.stream,
                database=self._database,
                feed=self.feed,
                subscriber=self._subscriber,
                copies=self._copies,
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
        self._wait_while_paused()
        try:
            if not self._loaded:
                await self._load()
            if (wish := self._wish(event)) is not None:
                await self._apply_again(event, wish)
            else:
                if not self._order.follows(event):
                    await self._apply_earlier(event)
                await self._apply(event)
        except DatabaseUnavailable as error:
            raise Postpone(str(error)) from error
        except FeedUnavailable as error:
            raise Postpone(str(error), delay=FEED_RETRY_SECONDS) from error

    def _wait_while_paused(self) -> None:
        if self.paused(self.stream):
            raise Postpone(f"{self.stream} is paused.", delay=PAUSED_SECONDS)

    async def _apply(self, event: RawEvent) -> None:
        handler = self._handlers.get(event.type)
        if handler is None:
            self._tracker.done(event.position, skipped=event.id)
        else:
            await self._handle(event, handler)
            self._tracker.done(event.position)
        self._order.note(event.subject, event.sequence)

    async def _apply_again(self, event: RawEvent, wish: Wish) -> None:
        # Its place in the order of its subject is over, and its position is what the feed confirmed.
        assert self._redrives is not None  # noqa: S101 - declared together with the handlers
        body = self._redrives.body(event)
        await self._handle(body, self._handlers.get(body.type, _nothing), wish)

    async def _handle(self, event: RawEvent, handler: EventHandler, wish: Wish | None = None) -> None:
        payload = read_as(self._wanted.get(event.type) or payload_model(event.type), event.type, event.data)
        # Validated just now; validating the envelope again would cost and change nothing.
        typed = CloudEvent[Any].model_construct(**{**event.__dict__, "data": payload})
        names: dict[str, Any] = {subject_name(event.type): event.subject, "event_id": event.id}
        with continue_trace(event.traceparent, event.type, **names):
            applied = await self._inbox.apply(typed, handler, wish=wish)
            if not applied:
                _log.debug("event_known", stream=self.stream)
        self._count("applied" if applied else "duplicate")

    def _wish(self, event: RawEvent) -> Wish | None:
        if self._redrives is not None and event.id in self._redrives:
            return "letter"
        return "entry" if sent_again() else None

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
            page = await self.feed.page(after)
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
        assert self._redrives is not None  # noqa: S101 - the same
        self._wait_while_paused()
        wishes = {event.id: wish for event in events if (wish := self._wish(event)) is not None}
        events = [self._redrives.body(event) for event in events]
        for event in events:
            if event.type not in STREAM_TYPES[self.stream]:
                raise Reject(f"{event.type} is no type of {self.stream}.")
            payload_model(event.type).read(event.data)
        try:
            applied = await self._inbox.apply_batch(events, self._batch_handler, wishes=wishes)
        except DatabaseUnavailable as error:
            raise Postpone(str(error)) from error
        self._count("applied", applied)
        self._count("duplicate", len(events) - applied)
        for event in events:
            if event.id not in wishes:
                self._tracker.done(event.position)

    async def _on_dead(self, letter: DeadLetter) -> None:
        self._count("dead")
        await self._inbox.bury(letter)
        if letter.event is not None:
            self._order.note(letter.event.subject, letter.event.sequence)

    async def _look(self) -> None:
        assert self._catch_up is not None and self._redrives is not None  # noqa: S101, PT018 - start checked
        terms = self._present_terms()
        if not any(terms):
            self._loaded = False
        elif not self._loaded or terms != self._terms:
            await self._load()
            self._catch_up.restart()
        self._terms = terms
        if not any(terms):
            return
        if self._tracker.gap_seconds > LOOK_SECONDS:
            await self._load()
        await self._save()
        if self._database.clock.monotonic() >= self._forget_at:
            self._forget_at = self._database.clock.monotonic() + FORGET_SECONDS
            before = self._database.clock.now() - self._keep
            await forget_handled(self._database, self.stream, before=before)
        await self._redrives.look()
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


async def _nothing(_: Transaction, __: CloudEvent[Any]) -> None:
    """The handler of a redriven event whose type this service lets pass."""
