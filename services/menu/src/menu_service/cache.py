"""Cache-aside for the whole menu. Without Redis it is slower, never wrong and never an error."""

import asyncio
from datetime import timedelta
from typing import Final

import structlog
from redis.exceptions import RedisError
from rediscore.client import RedisConnections
from rediscore.keys import KeySpace
from rediscore.scripts import Script

_log = structlog.get_logger(__name__)
_PUT = Script.load("menu_service.lua", "put_if_newer.lua")

PATIENCE: Final = 0.25
"""Seconds that a guest waits for the cache before the database is asked."""


class MenuCache:
    """The answer of ``GET /menu`` in Redis, with the revision of the menu that it shows.

    A copy replaces only copies of older revisions, so a slow reader cannot bring back what a change has
    made old. When Redis missed the change, readers may see the old menu for at most ``ttl``.
    """

    def __init__(self, connections: RedisConnections, keys: KeySpace, *, ttl: timedelta) -> None:
        self._connections = connections
        self._key = keys.key("menu")
        self._ttl_ms = int(ttl.total_seconds() * 1000)

    async def get(self) -> bytes | None:
        """The copy, or None when there is none or Redis does not answer in time. One round trip."""
        try:
            async with asyncio.timeout(PATIENCE):
                found = await self._connections.commands.hget(self._key, "body")
        except (RedisError, TimeoutError) as error:
            _log.warning("menu_cache_unavailable", verb="get", error=type(error).__name__)
            return None
        return found if isinstance(found, bytes) else None

    async def put(self, revision: int, body: bytes) -> bool:
        """Keep this copy unless a newer one is there; False when not kept. One round trip."""
        try:
            async with asyncio.timeout(PATIENCE):
                return bool(
                    await _PUT(
                        self._connections.commands, keys=[self._key], args=[revision, body, self._ttl_ms]
                    )
                )
        except (RedisError, TimeoutError) as error:
            _log.warning("menu_cache_unavailable", verb="put", error=type(error).__name__)
            return False
