"""Invalidations on a connection of their own: broadcast client tracking (RESP3)."""

from typing import TYPE_CHECKING

from rediscore.invalidation import InvalidationListener

if TYPE_CHECKING:
    from rediscore.client import RedisConnections


class TrackingFeed:
    """See `rediscore.invalidation.Invalidations`."""

    def __init__(self, connections: "RedisConnections") -> None:
        self._connections = connections

    def watch(self, prefix: str, listener: InvalidationListener) -> None:
        raise NotImplementedError

    def unwatch(self, prefix: str) -> None:
        raise NotImplementedError

    async def aclose(self) -> None:
        """Close the connection."""
