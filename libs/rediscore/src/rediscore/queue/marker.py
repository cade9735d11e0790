"""Sleeping until there may be something to claim."""

import asyncio
import contextlib
from typing import Self

from redis.exceptions import RedisError

from rediscore.client import RedisConnections
from rediscore.retry import TRANSIENT

BLOCK_SECONDS = 5.0
_PAUSE_SECONDS = 0.2
# The server keeps time in ticks, so the waiter does it; the pop must not end first.
_OVERTIME = 0.5


class MarkerWatch:
    """One waiting claim at the marker of its queue.

    The marker holds no work, so losing it with a reply or a caller costs one look of somebody else,
    never an entry. Asynchronous context manager; it leaves no command behind.
    """

    def __init__(self, connections: RedisConnections, marker: str) -> None:
        self._connections = connections
        self._marker = marker
        self._pop: asyncio.Task[None] | None = None

    async def sleep(self, seconds: float) -> None:
        """Return when woken, at the latest after `seconds`. One round trip, on a blocking connection.

        A failure of the connection counts as being woken: the claim that follows finds out.
        """
        if self._pop is None:
            self._pop = asyncio.create_task(self._take_marker(min(seconds + _OVERTIME, BLOCK_SECONDS)))
        # The time is kept here, because the server looks at the timeouts of its clients every 100 ms only.
        # A pop that is still on its way then serves the next sleep.
        await asyncio.wait({self._pop}, timeout=seconds)
        if self._pop.done():
            pop, self._pop = self._pop, None
            try:
                pop.result()
            except TRANSIENT:
                await asyncio.sleep(min(seconds, _PAUSE_SECONDS))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._pop is None:
            return
        self._pop.cancel()
        await asyncio.wait({self._pop})
        if not self._pop.cancelled():
            self._pop.exception()  # seen; whoever looks next meets it too
        # It may have taken the marker away: wake somebody else in our place.
        with contextlib.suppress(RedisError, TimeoutError):
            async with asyncio.timeout(_PAUSE_SECONDS):
                await self._connections.commands.zadd(self._marker, {"look": 0})

    async def _take_marker(self, seconds: float) -> None:
        await self._connections.blocking(BLOCK_SECONDS).bzpopmin(self._marker, seconds)
