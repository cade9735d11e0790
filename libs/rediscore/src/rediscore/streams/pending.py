"""Entries that were delivered and not acknowledged: what a reader that vanished has left."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rediscore.client import RedisConnections
from rediscore.scripts import Script
from rediscore.streams.dead_letters import recall
from rediscore.streams.lease import PartitionLease
from rediscore.streams.sources import Source
from rediscore.streams.work import Work, work_from_entry

log = logging.getLogger(__name__)

_CLAIM = Script.load("rediscore.streams.lua", "claim.lua")


@dataclass(frozen=True, slots=True)
class PendingEntry:
    """An entry in the pending list, and how often it was delivered."""

    entry_id: bytes
    deliveries: int


class PendingList:
    """The pending list of one group in one of its two streams, all consumers together."""

    def __init__(
        self, connections: RedisConnections, *, source: Source, group: str, consumer: str, failures_key: str
    ) -> None:
        self.source = source
        self._connections = connections
        self._group = group
        self._consumer = consumer
        self._failures_key = failures_key

    async def page(self, after: bytes | None, *, count: int, idle: float | None = None) -> list[PendingEntry]:
        """The next entries by id, those only that nobody touched for `idle` seconds. One round trip."""
        rows: Any = await self._connections.commands.xpending_range(
            self.source.stream,
            self._group,
            min="-" if after is None else b"(" + after,
            max="+",
            count=count,
            idle=None if idle is None else round(idle * 1000),
        )
        return [PendingEntry(row["message_id"], row["times_delivered"]) for row in rows]

    async def claim(
        self,
        entries: Sequence[PendingEntry],
        *,
        lease: PartitionLease | None,
        idle: float = 0.0,
    ) -> list[Work]:
        """Take them over, with their earlier failures. One round trip.

        Those that others acknowledged or touched meanwhile are left out, and so are those that were
        trimmed away: they cannot be had any more.

        Raises: LeaseLost.
        """
        reply = await _CLAIM(
            self._connections,
            keys=[self.source.stream, self._failures_key, lease.key if lease else self._failures_key],
            args=[
                lease.token if lease else "",
                self._group,
                self._consumer,
                round(idle * 1000),
                self.source.prefix,
                *(entry.entry_id for entry in entries),
            ],
        )
        if reply is None and lease is not None:
            raise lease.lost()
        deliveries = {entry.entry_id: entry.deliveries for entry in entries}
        works = []
        for (entry_id, fields), noted in zip(*reply, strict=True):
            work = work_from_entry(entry_id, fields, self.source)
            work.reclaims = deliveries[entry_id]
            recall(work, noted)
            works.append(work)
        if len(works) < len(entries):
            log.warning(
                "stream_pending_not_claimed",
                extra={
                    "stream": self.source.stream,
                    "group": self._group,
                    "count": len(entries) - len(works),
                },
            )
        return works
