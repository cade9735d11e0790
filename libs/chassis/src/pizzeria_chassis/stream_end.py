"""What a stream ends with: in Redis, and as it should be."""

from collections.abc import Sequence
from typing import Any, Final

from rediscore.client import RedisConnections
from rediscore.retry import run_idempotent
from rediscore.streams.errors import MalformedEntry
from rediscore.streams.event import CloudEvent, decode_entry
from rediscore.streams.publisher import StreamPublisher

__all__ = ["StreamEnd"]

LOOK_BACK: Final = 50


class StreamEnd:
    """The end of one stream; ``expected`` is the position of the last event that was added to it."""

    def __init__(
        self, name: str, connections: RedisConnections, publisher: StreamPublisher, *, source: str
    ) -> None:
        self.name = name
        self.expected = 0
        self._connections = connections
        self._publisher = publisher
        self._source = source

    async def publish(self, events: Sequence[CloudEvent[Any]]) -> None:
        """Add events in this order. One round trip."""
        if not events:
            return
        await self._publisher.publish(self.name, events)
        self.expected = max(self.expected, *(event.position or 0 for event in events))

    async def held(self) -> int:
        """Return the position of the last event of ours that the stream holds. One round trip.

        Looks at the last 50 entries; 0 when none of them is ours, which has the relay add the end of the
        stream again.
        """
        page: Any = await run_idempotent(
            lambda: self._connections.commands.xrevrange(self.name, count=LOOK_BACK),
            policy=self._connections.settings.retry,
        )
        for _, fields in page:
            try:
                event = decode_entry(fields)
            except MalformedEntry:
                continue
            if event.source == self._source and event.position:
                return event.position
        return 0
