"""The feed of changed keys: links to every primary, and who is told what."""

import asyncio
import logging
from bisect import bisect_right
from collections.abc import Sequence
from contextvars import Context
from typing import TYPE_CHECKING

import redis.exceptions

from rediscore.invalidation import InvalidationListener
from rediscore.tracking.link import INTERVAL, PATIENCE, TrackingLink
from rediscore.transport import Endpoint

if TYPE_CHECKING:
    from rediscore.client import RedisConnections

_log = logging.getLogger(__name__)


class TrackingFeed:
    """Changed keys by `CLIENT TRACKING ON BCAST PREFIX ...`; see `rediscore.invalidation.Invalidations`.

    The server tells of every key with a watched prefix that anybody writes, deletes or lets expire, in
    the order in which it happened; it remembers no keys for that, only the prefixes. One connection, on a
    cluster one per primary; opened with the first `watch`, which needs a running event loop. A heartbeat
    every 0.75 s, to be answered within a second: a connection that died silently is `interrupted` within
    2 s. While all is well `resumed` is called again with each heartbeat.

    A lost link interrupts everything, also on a cluster; all links are made anew, with backoff.
    """

    heartbeat = INTERVAL + PATIENCE + PATIENCE / 4
    """Seconds: after this long without another `resumed` the feed is not to be trusted."""

    def __init__(self, connections: "RedisConnections") -> None:
        self._connections = connections
        self._listeners: dict[str, InvalidationListener] = {}
        self._sorted: list[tuple[bytes, InvalidationListener]] = []
        self._links: list[TrackingLink] = []
        self._silent: set[TrackingLink] = set()
        self._attempt = 0
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    def watch(self, prefix: str, listener: InvalidationListener) -> None:
        """See `Invalidations`. Raises: ValueError when the prefix overlaps with one that is watched."""
        for other in self._listeners:
            if other.startswith(prefix) or prefix.startswith(other):
                raise ValueError(
                    f"{prefix!r} overlaps with {other!r}, which is watched already: "
                    "make one cache per name, and share it."
                )
        self._listeners[prefix] = listener
        self._sort()
        if self._closed:
            return
        if self._task is None:
            # Not in the context of whoever happens to read first: its trace is not ours.
            self._task = asyncio.create_task(self._run(), name="rediscore invalidations", context=Context())
        for link in self._links:
            link.wake()

    def unwatch(self, prefix: str) -> None:
        """See `Invalidations`. The server goes on telling until the connection is made anew."""
        self._listeners.pop(prefix, None)
        self._sort()

    async def aclose(self) -> None:
        """Close the connections; every listener is told that it hears no more."""
        self._closed = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        # Not for ever: before Python 3.13 a task group loses a cancellation that comes while a link fails.
        while not self._closed:
            try:
                await self._connected()
            except* (redis.exceptions.RedisError, OSError) as lost:
                # Once per outage, not once per attempt.
                level = logging.DEBUG if self._attempt else logging.WARNING
                _log.log(level, "invalidations interrupted: %s", lost.exceptions[0])
            except* Exception:  # noqa: BLE001  the feed outlives a faulty listener
                _log.exception("invalidations interrupted by a listener")
            finally:
                self._interrupted()
            self._attempt += 1
            await asyncio.sleep(self._connections.settings.retry.backoff.delay(self._attempt))

    async def _connected(self) -> None:
        endpoints = await self._connections.endpoints()
        self._links = [
            TrackingLink(endpoint, self._listeners, self._changed, self._answered) for endpoint in endpoints
        ]
        self._silent = set(self._links)
        async with asyncio.TaskGroup() as group:
            for link in self._links:
                group.create_task(self._kept(link))
            if self._connections.settings.cluster:
                group.create_task(self._same_primaries(endpoints))

    async def _kept(self, link: TrackingLink) -> None:
        try:
            await link.run()
        finally:
            # At once, before anything is closed or awaited.
            self._interrupted()

    async def _same_primaries(self, endpoints: Sequence[Endpoint]) -> None:
        known = {endpoint.address for endpoint in endpoints}
        while True:
            await asyncio.sleep(INTERVAL)
            if known != {endpoint.address for endpoint in await self._connections.endpoints()}:
                break
        raise redis.exceptions.ConnectionError("The cluster has other primaries now.")

    def _answered(self, link: TrackingLink) -> None:
        self._silent.discard(link)
        if self._silent or not self._links:  # the others have not answered yet, or one was lost
            return
        self._silent = set(self._links)
        self._attempt = 0
        for prefix, listener in list(self._listeners.items()):
            if all(prefix in each.confirmed for each in self._links):
                listener.resumed()

    def _interrupted(self) -> None:
        self._links = []
        for listener in list(self._listeners.values()):
            listener.interrupted()

    def _changed(self, keys: Sequence[bytes] | None) -> None:
        if keys is None:
            for listener in self._listeners.values():
                listener.invalidated(None)
            return
        told: dict[InvalidationListener, list[bytes]] = {}
        for key in keys:
            # Prefixes do not overlap, so only the last one that is not behind the key can be its own.
            at = bisect_right(self._sorted, key, key=_prefix) - 1
            if at >= 0 and key.startswith(self._sorted[at][0]):
                told.setdefault(self._sorted[at][1], []).append(key)
        for listener, its_keys in told.items():
            listener.invalidated(its_keys)

    def _sort(self) -> None:
        self._sorted = sorted(
            ((prefix.encode(), listener) for prefix, listener in self._listeners.items()), key=_prefix
        )


def _prefix(watched: tuple[bytes, InvalidationListener]) -> bytes:
    return watched[0]
