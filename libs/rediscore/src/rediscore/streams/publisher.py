"""Adding events to streams, and cutting off what every group has read."""

from collections.abc import Sequence
from typing import Any

from rediscore.client import RedisConnections
from rediscore.retry import run_idempotent
from rediscore.scripts import Script
from rediscore.streams.errors import MalformedEntry
from rediscore.streams.event import CloudEvent, RawEvent, decode_entry, encode_entry

_TRIM = Script.load("rediscore.streams.lua", "trim.lua")


class StreamPublisher:
    """Writes streams.

    Args:
        max_length: last bound against a full memory, approximate. It cuts what a group that lags this
            far has not read (its reader then has a gap); `trim` never does, call it regularly.
    """

    def __init__(self, connections: RedisConnections, *, max_length: int = 100_000) -> None:
        self._connections = connections
        self._max_length = max_length

    async def publish(self, stream: str, events: Sequence[CloudEvent[Any]]) -> list[str]:
        """Add the events in this order, all or none; returns the ids of the entries. One round trip.

        Raises: redis-py's ConnectionError or TimeoutError: the events may have been added all the same.
            Publishing them again is safe for consumers that know events by their id.
        """
        if not events:
            return []
        async with self._connections.commands.pipeline(transaction=True) as pipeline:
            for event in events:
                pipeline.xadd(stream, encode_entry(event), maxlen=self._max_length, approximate=True)  # type: ignore[arg-type]
            return [entry_id.decode() for entry_id in await pipeline.execute()]

    async def last_event(self, stream: str) -> RawEvent | None:
        """The newest event of the stream, None when it holds none.

        Entries that are no events are passed over. One round trip as long as the last ten hold one.
        """
        upper = "+"
        while True:
            page: Any = await run_idempotent(
                lambda upper=upper: self._connections.commands.xrevrange(stream, max=upper, count=10)  # type: ignore[misc]
            )
            for _, fields in page:
                try:
                    return decode_entry(fields)
                except MalformedEntry:
                    continue
            if not page:
                return None
            upper = f"({page[-1][0].decode()}"

    async def trim(self, stream: str, *, keep: int = 1000) -> int:
        """Cut off entries that every group has read and acknowledged; returns how many. One round trip.

        The newest `keep` entries stay, so that people can look at them; a stream without a group is
        left alone. Safe to send twice.
        """
        if keep < 1:
            raise ValueError("Keep at least the last entry: it tells where the stream ends.")
        removed: int = await _TRIM(self._connections, keys=[stream], args=[keep])
        return removed
