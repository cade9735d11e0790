"""Catching up: what the stream did not bring comes from the feed of its owner."""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Final

import structlog
from rediscore.streams import NotActive, Outcome, Subscriber
from rediscore.streams.event import RawEvent

from pizzeria_chassis.errors import DatabaseUnavailable, FeedUnavailable
from pizzeria_chassis.feed import FeedClient
from pizzeria_chassis.inbox import Inbox
from pizzeria_chassis.metrics import EventMetrics
from pizzeria_chassis.positions import PositionTracker
from pizzeria_chassis.subject_order import SubjectOrder

__all__ = ["CatchUp"]

_log = structlog.get_logger(__name__)

GAP_SECONDS: Final = 1.0
"""Subjects run in parallel, so positions are done out of order for a moment; longer is a gap."""
COMPARE_SECONDS: Final = 3.0
RECHECK_SECONDS: Final = 0.5
PAGE_SECONDS: Final = 10.0


class CatchUp:
    """Compares this consumer's position with the head of the feed and takes from there what is missing.

    It looks at start, when a gap stays open, and every 3 s. Being behind alone is no reason:
    the stream may be about to bring it. Only standing still while behind is. What it takes goes through the
    same lanes as what the stream brings, so it works in the active reader alone.
    """

    def __init__(
        self,
        *,
        stream: str,
        inbox: Inbox,
        tracker: PositionTracker,
        order: SubjectOrder,
        feed: FeedClient,
        subscriber: Subscriber,
        metrics: EventMetrics | None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream = stream
        self._inbox = inbox
        self._tracker = tracker
        self._order = order
        self._feed = feed
        self._subscriber = subscriber
        self._metrics = metrics
        self._monotonic = monotonic
        self._compare_at = 0.0
        self._stood_at: int | None = None
        self._feed_away = False
        self._injected: dict[str, asyncio.Task[None]] = {}

    def restart(self) -> None:
        """This instance became the active reader: compare at once."""
        self._compare_at = 0.0
        self._stood_at = None

    async def stop(self) -> None:
        """Wait no longer for what was injected."""
        for task in self._injected.values():
            task.cancel()
        await asyncio.gather(*self._injected.values(), return_exceptions=True)

    async def look(self) -> None:
        """One look; takes what is missing if anything is."""
        try:
            if self._tracker.gap_seconds > GAP_SECONDS:
                await self._take()
            elif self._monotonic() >= self._compare_at:
                await self._compare()
            else:
                return
        except FeedUnavailable as error:
            if not self._feed_away:
                _log.warning("feed_away", stream=self._stream, error=str(error))
            self._feed_away = True
            self._compare_at = self._monotonic() + COMPARE_SECONDS
        else:
            self._feed_away = False

    async def _compare(self) -> None:
        head = await self._feed.head()
        position = self._tracker.contiguous
        if self._metrics is not None:
            self._metrics.lag.labels(self._stream).set(max(0, head - position))
        behind = head > position
        if behind and self._stood_at == position:
            self._stood_at = None
            await self._take()
            behind = head > self._tracker.contiguous
        self._stood_at = position if behind else None
        self._compare_at = self._monotonic() + (RECHECK_SECONDS if behind else COMPARE_SECONDS)

    async def _take(self) -> None:
        """Take pages from the feed until its end, or until a page brings nothing forward."""
        before = -1
        while self._tracker.contiguous > before:
            before = self._tracker.contiguous
            page = await self._feed.page(before)
            if not page:
                return
            await self._take_page(page)

    async def _take_page(self, page: Sequence[RawEvent]) -> None:
        open_events = [event for event in page if not self._tracker.is_done(event.position or 0)]
        known = await self._inbox.known([event.id for event in open_events])
        await self._settle([event for event in open_events if event.id in known])
        missing = [event for event in open_events if event.id not in known and event.id not in self._injected]
        if not missing:
            return
        _log.info("catching_up", stream=self._stream, events=len(missing), after=self._tracker.contiguous)
        # Tasks begin in the order of their creation, so each lane gets its events in sequence.
        tasks = [self._inject_later(event) for event in missing]
        # One that is tried again for long holds nobody up; it stays in its lane.
        await asyncio.wait(tasks, timeout=PAGE_SECONDS)

    def _inject_later(self, event: RawEvent) -> asyncio.Task[None]:
        task = asyncio.create_task(self._inject(event), name=f"catch-up:{event.id}")
        self._injected[event.id] = task
        task.add_done_callback(lambda _: self._injected.pop(event.id, None))
        return task

    async def _inject(self, event: RawEvent) -> None:
        try:
            outcome = await self._subscriber.inject(event)
            if self._metrics is not None:
                self._metrics.caught_up.labels(self._stream).inc()
            if outcome is Outcome.DEAD:
                await self._settle([event])
        except (NotActive, DatabaseUnavailable):
            # Another reads now, or the next look settles it.
            return

    async def _settle(self, events: Sequence[RawEvent]) -> None:
        """Count events that are in the inbox already; the feed vouches for their positions."""
        places = {event.id: event.position for event in events if event.position is not None}
        await self._inbox.confirm(places)
        for event in events:
            self._order.note(event.subject, event.sequence)
            self._tracker.done(event.position)
