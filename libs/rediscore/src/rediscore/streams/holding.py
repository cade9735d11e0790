"""What a reader holds of its group's entries, and leaves to others."""

from collections.abc import Iterable, Sequence

from rediscore.client import RedisConnections
from rediscore.clock import Clock
from rediscore.scripts import Argument, Script
from rediscore.streams.lease import PartitionLease
from rediscore.streams.sources import Source
from rediscore.streams.work import Work

_TOUCH = Script.load("rediscore.streams.lua", "touch.lua")
_GIVE_BACK = Script.load("rediscore.streams.lua", "give_back.lua")

_AT_ONCE = 500


class Holding:
    """The entries in the hands of one reader.

    In competing mode an entry that nobody touched for `min_idle` seconds is another's to take. The reader
    counts from before it asked, so it knows by itself when that may have happened, as after a stalled
    event loop, and asks before it begins such an entry.
    """

    def __init__(
        self,
        connections: RedisConnections,
        *,
        sources: Sequence[Source],
        group: str,
        consumer: str,
        min_idle: float,
        clock: Clock,
    ) -> None:
        self._connections = connections
        self._sources = sources
        self._group = group
        self._consumer = consumer
        self._min_idle = min_idle
        self._clock = clock

    def surely(self, work: Work) -> bool:
        """Whether nobody else can have taken it. No round trip."""
        return work.entry_id is None or self._clock.monotonic() < work.touched + self._min_idle * 0.9

    async def touch(self, works: Iterable[Work]) -> list[Work]:
        """Keep them from being taken over; returns those that are ours no longer. One round trip per 500."""
        lost: list[Work] = []
        for source, mine in self._by_source(works):
            for start in range(0, len(mine), _AT_ONCE):
                some = mine[start : start + _AT_ONCE]
                asked = self._clock.monotonic()
                gone = await _TOUCH(
                    self._connections,
                    keys=[source.stream],
                    args=[
                        self._group,
                        self._consumer,
                        int(source.own),
                        *(work.entry_id or b"" for work in some),
                    ],
                )
                for work in some:
                    if work.entry_id in gone:
                        lost.append(work)
                    else:
                        work.touched = asked
        return lost

    async def give_back(self, works: Iterable[Work], lease: PartitionLease | None) -> None:
        """Leave works that were not begun to the next reader, at once. One round trip per 500."""
        for source, mine in self._by_source(works):
            for start in range(0, len(mine), _AT_ONCE):
                pairs: list[Argument] = []
                for work in mine[start : start + _AT_ONCE]:
                    pairs += [work.entry_id or b"", work.reclaims]
                await _GIVE_BACK(
                    self._connections,
                    keys=[source.stream, lease.key if lease else source.stream],
                    args=[
                        lease.token if lease else "",
                        self._group,
                        self._consumer,
                        round(self._min_idle * 1000) + 1,
                        *pairs,
                    ],
                )

    def _by_source(self, works: Iterable[Work]) -> list[tuple[Source, list[Work]]]:
        found: dict[Source, list[Work]] = {source: [] for source in self._sources}
        for work in works:
            if work.source is not None:
                found[work.source].append(work)
        return [(source, mine) for source, mine in found.items() if mine]
