"""Handling dead events again, because an operator wants it."""

import asyncio
import time
from collections.abc import Callable
from typing import Final

import structlog
from rediscore.streams import NotActive, Subscriber
from rediscore.streams.event import RawEvent

from pizzeria_chassis.database import Database
from pizzeria_chassis.feed import FeedClient
from pizzeria_chassis.letter_copies import LetterCopies
from pizzeria_chassis.letters import Letter, due

__all__ = ["Redrives"]

_log = structlog.get_logger(__name__)

LOOK_SECONDS: Final = 2.0
AT_ONCE: Final = 50


class Redrives:
    """Takes letters that are due to their handlers, through the lane of their subject, in the active reader.

    The wish is in the database, so it survives the death of a reader and a wiped Redis: what was not handled
    is due at the next reader. At most 50 are under way.
    """

    def __init__(
        self,
        *,
        stream: str,
        database: Database,
        feed: FeedClient,
        subscriber: Subscriber,
        copies: LetterCopies | None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream = stream
        self._database = database
        self._feed = feed
        self._subscriber = subscriber
        self._copies = copies
        self._monotonic = monotonic
        self._look_at = 0.0
        self._bodies: dict[str, RawEvent] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def __contains__(self, event_id: str) -> bool:
        """Whether this event is being redriven here."""
        return event_id in self._bodies

    def body(self, event: RawEvent) -> RawEvent:
        """Return what is to be handled for an event: itself, or what an operator made of it."""
        return self._bodies.get(event.id, event)

    def soon(self) -> None:
        """Look with the next turn."""
        self._look_at = 0.0

    async def stop(self) -> None:
        """Wait no longer for what is under way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def look(self) -> None:
        """Take what is due. Raises DatabaseUnavailable, FeedUnavailable."""
        if self._monotonic() < self._look_at:
            return
        self._look_at = self._monotonic() + LOOK_SECONDS
        async with self._database.read() as connection:
            found = await due(connection, self._stream, now=self._database.clock.now(), limit=AT_ONCE)
        # Tasks begin in the order of their creation, so each lane gets its events in this order.
        for letter in found:
            if letter.key in self._bodies or len(self._tasks) >= AT_ONCE:
                continue
            event = letter.event() or await self._from_feed(letter)
            if event is None:
                _log.warning("redrive_without_event", stream=self._stream, letter=letter.id)
                continue
            if self._copies is not None:
                await self._copies.remove(letter, by="inbox", why="redriven from the database")
            self._bodies[event.id] = event
            task = asyncio.create_task(self._inject(event), name=f"redrive:{event.id}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _from_feed(self, letter: Letter) -> RawEvent | None:
        if letter.position is None:
            return None
        page = await self._feed.page(letter.position - 1, 1)
        return next((event for event in page if event.id == letter.key), None)

    async def _inject(self, event: RawEvent) -> None:
        try:
            outcome = await self._subscriber.inject(event)
            _log.info("redriven", stream=self._stream, event_id=event.id, outcome=outcome.value)
            self.soon()
        except NotActive:
            # Another reads its partition, and finds it in the database.
            return
        finally:
            del self._bodies[event.id]
