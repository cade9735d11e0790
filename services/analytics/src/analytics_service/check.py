"""Whether the projections are a fold over the archive, and the archive is what the feeds tell (I6)."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pizzeria_chassis.database import Database
from pizzeria_chassis.feed import MAX_PAGE, FeedClient
from pizzeria_chassis.health import Check
from rediscore.clock import Clock

from analytics_service import archive
from analytics_service.picture import (
    Differences,
    differences,
    fold_from_nothing,
    picture_of,
    read_picture,
    same_moment,
)
from analytics_service.projections import Projections
from analytics_service.projector import day_of

COMPARED: Final = 20_000
"""Events of each feed whose ids are compared, the newest; of all others it is known that they are there."""
_EXAMPLES: Final = 20
_ATTEMPTS: Final = 5


@dataclass(frozen=True)
class StreamCheck:
    """`missing`: positions of the feed that the archive lacks. `strangers`: those that hold another event."""

    feed_head: int
    archived: int
    missing: tuple[int, ...]
    strangers: tuple[int, ...]


@dataclass(frozen=True)
class Report:
    """`differences` is None when the projections moved on each time that they were read."""

    checkpoint: int
    archive_head: int
    differences: Differences | None
    streams: Mapping[str, StreamCheck]

    @property
    def consistent(self) -> bool:
        whole = all(not stream.missing and not stream.strangers for stream in self.streams.values())
        return whole and self.differences is not None and not self.differences.count


class Checker:
    """Folds the archive from nothing and compares, and asks the feeds. A component: it has HTTP clients.

    Costs a read of the whole archive, some eighty round trips to Redis and one per customer, and up to 40
    pages of each feed. One check at a time.
    """

    def __init__(
        self, database: Database, projections: Projections, feeds: Mapping[str, FeedClient], clock: Clock
    ) -> None:
        self._database = database
        self._projections = projections
        self._feeds = feeds
        self._clock = clock
        self._one_at_a_time = asyncio.Lock()

    async def start(self) -> None:
        return

    async def stop(self) -> None:
        for feed in self._feeds.values():
            await feed.aclose()

    def checks(self) -> Mapping[str, Check]:
        return {}

    async def check(self) -> Report:
        """Raises: FeedUnavailable, DatabaseUnavailable, NotCountedYet, redis-py's errors."""
        async with self._one_at_a_time:
            checkpoint, found = await self._check_projections()
            streams = {stream: await self._check_stream(stream, feed) for stream, feed in self._feeds.items()}
            async with self._database.read() as connection:
                head = await archive.head(connection)
            return Report(checkpoint, head, found, streams)

    async def _check_projections(self) -> tuple[int, Differences | None]:
        today = day_of(self._clock.now())
        seq = 0
        for _ in range(_ATTEMPTS):
            async with self._projections.reading():
                live = (await self._projections.control()).live
            if live is None:
                continue
            seq = live.checkpoint.seq
            found = await read_picture(self._projections, live.name, today)
            if await same_moment(self._projections, [live]):
                expected = picture_of(await fold_from_nothing(self._database, seq), today)
                return seq, differences(expected, found)
        return seq, None

    async def _check_stream(self, stream: str, feed: FeedClient) -> StreamCheck:
        head = await feed.head()
        async with self._database.read() as connection:
            archived = await archive.positions(connection, stream, upto=head)
        missing = [] if archived == head else await self._missing(stream, head)
        strangers: list[int] = []
        after = max(head - COMPARED, 0)
        while after < head and len(strangers) < _EXAMPLES:
            page = await feed.page(after, MAX_PAGE)
            if not page:
                break
            told = {event.position: event.id for event in page if event.position is not None}
            async with self._database.read() as connection:
                kept = await archive.ids_at(connection, stream, after=after, upto=max(told))
            strangers += [at for at, event_id in told.items() if kept.get(at, event_id) != event_id]
            after = max(told)
        return StreamCheck(head, archived, tuple(missing), tuple(strangers[:_EXAMPLES]))

    async def _missing(self, stream: str, head: int) -> list[int]:
        """The first positions up to the head that are not archived."""
        found: list[int] = []
        for after in range(0, head, MAX_PAGE):
            upto = min(after + MAX_PAGE, head)
            async with self._database.read() as connection:
                kept = await archive.ids_at(connection, stream, after=after, upto=upto)
            found += [at for at in range(after + 1, upto + 1) if at not in kept]
            if len(found) >= _EXAMPLES:
                break
        return found[:_EXAMPLES]
