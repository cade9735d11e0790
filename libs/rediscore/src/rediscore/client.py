"""The one place that makes Redis clients, so that every connection has the same policy (ADR 0010, 0013)."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Any

from redis.asyncio import Redis

from rediscore.invalidation import Invalidations
from rediscore.retry import TRANSIENT, run_idempotent
from rediscore.scripts import Argument
from rediscore.settings import RedisSettings
from rediscore.tracking import TrackingFeed
from rediscore.transport import ClusterTransport, Endpoint, Pool, Servers, Transport

BLOCK_MARGIN = 2.0
"""Seconds that the reply to a blocking command may be late before the connection counts as dead."""


class RedisConnections:
    """Clients for one Redis: a bounded pool for commands, own pools for commands that block.

    One server, a primary that sentinels name, or a cluster: the settings decide, callers see no difference.
    Making it does no I/O; connections open when used. Nothing is sent twice by itself: a command that
    fails raises redis-py's ConnectionError or TimeoutError, which says nothing about whether the server
    acted. Who knows that a second sending is harmless says so (`execute(..., idempotent=True)`).
    """

    def __init__(self, settings: RedisSettings) -> None:
        self.settings = settings
        self._servers = Servers(settings)
        self._pools = self._servers.spread(
            lambda endpoint: Pool(endpoint, size=settings.pool_size, wait=settings.pool_timeout)
        )
        self._commands = self._servers.client(self._pools)
        self._retry = settings.retry
        self._shared_feed: Invalidations | None = None
        self._transport: Transport = self._shared() if settings.transport == "multiplexed" else self._pools
        self._blocking: dict[float, tuple[Redis, Transport]] = {}
        self._tracking: TrackingFeed | None = None

    async def execute(self, *command: Argument, idempotent: bool = False) -> Any:
        """Send one command that answers at once; its reply as it came (RESP3, bytes). One round trip.

        On a cluster it goes to the node of its first key; without a key to any primary.

        Args:
            command: name and arguments; for a command of two words, both: `"CLIENT", "INFO"`.
            idempotent: it is a read, or carries a token or a natural key, so it is sent again when the
                connection fails, within the retries and the seconds of the settings.

        Raises: redis-py's ConnectionError or TimeoutError when it was not answered: a command that
            changes something may or may not have been done. ResponseError when the server refuses it.
        """
        if not idempotent:
            return await self._transport.execute(*command)
        since = time.monotonic()
        try:
            return await self._transport.execute(*command)
        except TRANSIENT as error:
            failed = error
        again = partial(self._transport.execute, *command)
        return await run_idempotent(again, policy=self._retry, failed=failed, since=since)

    @property
    def commands(self) -> Redis:
        """redis-py's own client, for what `execute` is too plain for: pipelines, replies in its shapes.

        When all connections are busy, callers wait up to `pool_timeout` seconds for one, then get a
        ConnectionError. On a cluster the keys of one pipeline must share a slot."""
        return self._commands

    def blocking(self, block_seconds: float) -> Redis:
        """For commands that wait on the server for at most `block_seconds`.

        The socket timeout is that plus a margin, so a quiet server is not taken for a dead one. The
        client is kept per value: use few different values.
        """
        if block_seconds <= 0:
            raise ValueError("A blocking command needs a bound above 0 seconds: 0 would wait for ever.")
        found = self._blocking.get(block_seconds)
        if found is None:
            patience = block_seconds + BLOCK_MARGIN
            size = self.settings.blocking_pool_size
            pools = self._servers.spread(
                lambda endpoint: Pool(endpoint, size=size, wait=patience, socket_timeout=patience)
            )
            found = self._blocking[block_seconds] = self._servers.client(pools), pools
        return found[0]

    @property
    def invalidations(self) -> Invalidations:
        """Which keys others change; opens its connection when somebody watches."""
        if self._shared_feed is not None:
            return self._shared_feed  # told on the connection of the reads
        if self._tracking is None:
            self._tracking = TrackingFeed(self)
        return self._tracking

    def _shared(self) -> Transport:
        # Imported here: most programs have no use for it.
        from rediscore.multiplexing import Multiplexer

        pools = self._pools

        def make(endpoint: Endpoint) -> Multiplexer:
            pool = pools.node(endpoint.address) if isinstance(pools, ClusterTransport) else pools
            return Multiplexer(endpoint, pool)

        transport = self._servers.spread(make)
        if isinstance(transport, Multiplexer):
            self._shared_feed = transport.invalidations
        return transport

    async def endpoints(self) -> Sequence[Endpoint]:
        """Every primary there is now, for connections of one's own: one, or those of the cluster."""
        return await self._servers.endpoints()

    async def primaries(self) -> Sequence[Transport]:
        """A way to every primary, for what has no key: `SCRIPT FLUSH`, `DBSIZE`, `INFO`."""
        if isinstance(self._transport, ClusterTransport):
            return await self._transport.primaries()
        return [self._transport]

    async def scan_keys(self, pattern: str, *, count: int = 500) -> AsyncIterator[bytes]:
        """The keys that match a glob pattern, on all primaries. One round trip per `count` keys looked at.

        A key that is there all the time comes at least once, others may or may not come; a key may come
        twice. While slots of a cluster move, one may be missed.
        """
        for primary in await self.primaries():
            cursor = b"0"
            while True:
                # A cursor means something to one server only, so it is that server which is asked again.
                command = ("SCAN", cursor, "MATCH", pattern, "COUNT", count)
                cursor, keys = await run_idempotent(
                    lambda command=command, primary=primary: primary.execute(*command),  # type: ignore[misc]
                    policy=self._retry,
                )
                for key in keys:
                    yield key
                if cursor == b"0":
                    break

    async def ping(self, timeout: float = 1.0) -> None:
        """One round trip, once, within `timeout` seconds.

        Raises: redis-py's ConnectionError or TimeoutError, or the builtin TimeoutError.
        """
        async with asyncio.timeout(timeout):
            await self._pools.execute("PING")

    async def aclose(self) -> None:
        """Close every connection of every client made here."""
        if self._tracking is not None:
            await self._tracking.aclose()
        blocking, self._blocking = list(self._blocking.values()), {}
        for transport in (self._transport, self._pools, *(pools for _, pools in blocking)):
            await transport.aclose()
        await self._servers.aclose()
