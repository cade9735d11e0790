"""How far we have heard the kitchen, by its own account."""

from collections.abc import Mapping

from pizzeria_chassis.consumer import EventConsumer
from pizzeria_chassis.errors import FeedUnavailable
from pizzeria_chassis.feed import FeedClient
from pizzeria_chassis.health import Check
from redis.exceptions import RedisError
from rediscore.client import RedisConnections


class KitchenFeed:
    """See `use_cases.ports.Kitchen`; also a component, because it owns the connection to the feed."""

    def __init__(self, feed: FeedClient, consumer: EventConsumer, connections: RedisConnections) -> None:
        self._feed = feed
        self._consumer = consumer
        self._connections = connections

    async def heard_out(self) -> bool:
        """One call to the kitchen, one to Redis, one read."""
        try:
            head = await self._feed.head()
        except FeedUnavailable:
            return True  # nobody there who could have told anything new
        try:
            # Without Redis its relay stands still: its last words may not be in the feed yet.
            await self._connections.ping()
        except (RedisError, TimeoutError):
            return False
        return await self._consumer.position() >= head

    async def start(self) -> None:
        return

    async def stop(self) -> None:
        await self._feed.aclose()

    def checks(self) -> Mapping[str, Check]:
        return {}
