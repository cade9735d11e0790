"""Cache-aside for the whole menu. Without Redis it is slower, never wrong and never an error."""

import asyncio
from collections.abc import Awaitable
from datetime import timedelta

import structlog
from redis.exceptions import RedisError
from rediscore.client import RedisConnections
from rediscore.keys import KeySpace
from rediscore.scripts import Script

_log = structlog.get_logger(__name__)
_PUT = Script.load("menu_service.lua", "put_if_newer.lua")


class MenuCache:
    """The answer of ``GET /menu`` in Redis, with the revision of the menu that it shows.

    A copy replaces only copies of older revisions, so a slow reader cannot bring back what a change has
    made old. When Redis missed the change, readers may see the old menu for at most ``ttl``.

    Args:
        patience: seconds that a guest waits for Redis before the database is asked.
    """

    def __init__(
        self, connections: RedisConnections, keys: KeySpace, *, ttl: timedelta, patience: float = 0.25
    ) -> None:
        self._connections = connections
        self._key = keys.key("menu")
        self._ttl_ms = int(ttl.total_seconds() * 1000)
        self._patience = patience
        self._answers = True

    async def get(self) -> bytes | None:
        """The copy, or None when there is none or Redis does not answer in time. One round trip."""
        found = await self._ask(self._connections.commands.hget(self._key, "body"))
        return found if isinstance(found, bytes) else None

    async def put(self, revision: int, body: bytes) -> bool:
        """Keep this copy unless a newer one is there; False when not kept. One round trip."""
        put = _PUT(self._connections, keys=[self._key], args=[revision, body, self._ttl_ms])
        return bool(await self._ask(put))

    async def _ask(self, question: Awaitable[object]) -> object:
        try:
            async with asyncio.timeout(self._patience):
                reply = await question
        except (RedisError, TimeoutError) as error:
            # Said once, not with every guest.
            if self._answers:
                _log.warning("menu_cache_unavailable", error=type(error).__name__)
            self._answers = False
            return None
        if not self._answers:
            _log.info("menu_cache_back")
        self._answers = True
        return reply
