"""What tests of streams need: one stream, its group, and a look into both."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from redis.exceptions import ResponseError

from rediscore.client import RedisConnections
from rediscore.keys import KeySpace
from rediscore.retry import Backoff
from rediscore.streams import (
    CloudEvent,
    DeadLetter,
    DeadLetterBox,
    RawEvent,
    ReliableStreams,
    RetryPolicy,
    StreamPublisher,
    dead_stream,
)
from rediscore.testing.waiting import eventually

QUICK = RetryPolicy(max_attempts=3, backoff=Backoff(0.01, 0.05), max_reclaims=20, timeout=10.0)


class Recorder:
    """A handler that remembers what it was given, and fails for the events it was told to fail for."""

    def __init__(self) -> None:
        self.events: list[RawEvent] = []
        self.failing: dict[str, Exception] = {}

    async def __call__(self, event: RawEvent) -> None:
        self.events.append(event)
        if event.id in self.failing:
            raise self.failing[event.id]

    @property
    def ids(self) -> list[str]:
        return [event.id for event in self.events]

    @property
    def calls(self) -> Counter[str]:
        return Counter(self.ids)


class StreamKit:
    """Publishes, reads and looks into one stream, with short times."""

    def __init__(self, connections: RedisConnections, prefix: str) -> None:
        self.connections = connections
        self.prefix = prefix
        self.stream = f"{prefix}.events"
        self.group = "kitchen"
        self.publisher = StreamPublisher(connections)
        self.keys = KeySpace(prefix)
        self.quick = QUICK
        self.running: list[ReliableStreams] = []

    @property
    def commands(self) -> Any:
        """The client, without redis-py's types: replies of every shape are looked into here."""
        return self.connections.commands

    async def entries(self, stream: str | None = None) -> list[tuple[str, dict[bytes, bytes]]]:
        """Ids and fields of the whole stream."""
        return [(row[0].decode(), row[1]) for row in await self.commands.xrange(stream or self.stream)]

    async def last_id(self) -> str | None:
        """Id of the newest event."""
        event = await self.publisher.last_event(self.stream)
        return event.id if event is not None else None

    def event(self, event_id: str, subject: str = "order-1", **data: Any) -> CloudEvent[Any]:
        event_type = data.pop("type", "shop.thing.v1")
        return CloudEvent(
            id=event_id, source="shop", type=event_type, subject=subject, time=datetime.now(UTC), data=data
        )

    async def publish(self, *events: CloudEvent[Any], stream: str | None = None) -> list[str]:
        return await self.publisher.publish(stream or self.stream, events)

    def streams(self, **options: Any) -> ReliableStreams:
        """Streams of this group; stopped at the end of the test.

        Leases are longer than any wait: nothing is taken from a reader that is only slow, and one that stops
        must give back what it holds. A test about one that died says when its work is free.
        """
        defaults: dict[str, Any] = {"lease_ttl": 120.0, "min_idle": 120.0}
        made = ReliableStreams(self.connections, group=self.group, keys=self.keys, **(defaults | options))
        self.running.append(made)
        return made

    async def read(self, handler: Any, *, retry: RetryPolicy = QUICK, **options: Any) -> ReliableStreams:
        """Start one reader of the stream with this handler of all types."""
        streams = self.streams()
        subscriber = streams.subscriber(self.stream, retry=retry, **options)
        (subscriber.on_batch if options.get("batch") else subscriber.on_any)(handler)
        await streams.start()
        return streams

    async def stop(self) -> None:
        for streams in self.running:
            await streams.stop(grace=2.0)

    async def pending(self, stream: str | None = None) -> int:
        summary = await self.commands.xpending(stream or self.stream, self.group)
        return int(summary["pending"])

    async def settled(self, stream: str | None = None, within: float = 40) -> None:
        """Wait until the group has read everything and nothing is pending."""

        async def at_rest() -> bool:
            try:
                groups = await self.commands.xinfo_groups(stream or self.stream)
            except ResponseError:
                return False
            return any(
                info["name"] == self.group.encode() and info["pending"] == 0 and info["lag"] == 0
                for info in groups
            )

        await eventually(at_rest, within=within, what="all read and nothing pending")

    async def dead(self, stream: str | None = None) -> list[DeadLetter]:
        """Dead letters, oldest first."""
        page = await self.box(stream).page(group=self.group, oldest_first=True, limit=1000)
        return list(page.letters)

    def box(self, stream: str | None = None) -> DeadLetterBox:
        return DeadLetterBox(self.connections, stream or self.stream)

    async def dead_length(self) -> int:
        return int(await self.commands.xlen(dead_stream(self.stream)))


def assert_in_order(events: Sequence[RawEvent]) -> None:
    """Within each subject the `n` of the data only grows."""
    last: dict[str, int] = {}
    for event in events:
        number = event.data["n"]
        if number <= last.get(event.subject, -1):
            raise AssertionError(f"{event.id} came late: {[one.id for one in events]}")
        last[event.subject] = number
