"""Cache-aside for the whole menu. Without Redis it is slower, never wrong and never an error."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Final

import structlog
from pizzeria_chassis.health import Check
from redis.exceptions import RedisError
from rediscore.breaker import CircuitBreaker
from rediscore.cache import Cache
from rediscore.client import RedisConnections
from rediscore.keys import KeySpace
from rediscore.metrics import Metrics

from menu_service.reading import MENU, MenuAnswer

_log = structlog.get_logger(__name__)

OLD_MENU: Final = timedelta(minutes=10)
"""How long a copy is served while the database does not answer."""
FORGET_SECONDS: Final = 0.5


class MenuCopy:
    """The menu in Redis; a component, because what it computes ends with the service.

    A change deletes the copy, which also voids what slow readers are about to store. When Redis missed the
    change, this process reads the database until the copy is deleted (``make_up``); readers of another
    replica may see the old menu until then, at most for ``ttl``.

    Args:
        patience: how long a guest waits for Redis before the database is asked.
        breaker: around Redis, so that only some guests wait in vain.
    """

    def __init__(
        self,
        connections: RedisConnections,
        keys: KeySpace,
        *,
        ttl: timedelta,
        patience: timedelta = timedelta(milliseconds=250),
        breaker: CircuitBreaker | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        self._changes = 0
        self._forgotten = 0
        self.cache: Cache[MenuAnswer] = Cache(
            connections,
            "menu",
            MenuAnswer,
            keys=keys,
            ttl=ttl,
            fail_safe=OLD_MENU,
            patience=patience,
            breaker=breaker,
            metrics=metrics,
        )

    @property
    def outdated(self) -> bool:
        """Whether Redis may hold a copy from before a change of this process."""
        return self._forgotten < self._changes

    async def forget(self) -> None:
        """The menu has changed: the next reader makes a new copy. One round trip, at most half a second."""
        self._changes += 1
        try:
            await self.make_up()
        except (RedisError, TimeoutError) as error:
            _log.warning("menu_copy_outdated", error=type(error).__name__)

    async def make_up(self) -> None:
        """Delete a copy that is known to be old; called now and then. Raises what Redis raises."""
        if self.outdated:
            changes = self._changes
            async with asyncio.timeout(FORGET_SECONDS):
                await self.cache.delete(MENU)
            # Not that of now: a change may have come meanwhile.
            self._forgotten = max(self._forgotten, changes)

    async def start(self) -> None:
        return

    async def stop(self) -> None:
        await self.cache.aclose()

    def checks(self) -> Mapping[str, Check]:
        return {}
