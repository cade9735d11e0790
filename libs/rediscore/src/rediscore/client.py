"""The one place that makes Redis clients, so that every connection has the same policy (ADR 0010)."""

import asyncio
from collections.abc import Iterable
from typing import Any

from redis.asyncio import BlockingConnectionPool, Connection, Redis, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.maint_notifications import MaintNotificationsConfig

from rediscore.invalidation import Invalidations
from rediscore.retry import run_idempotent
from rediscore.scripts import Argument
from rediscore.settings import RedisSettings
from rediscore.tracking import TrackingFeed

BLOCK_MARGIN = 2.0
"""Seconds that the reply to a blocking command may be late before the connection counts as dead."""


class _CheckedWrites:
    """Writing to a connection that the peer reset is a ConnectionError, and cancelling is never lost.

    CPython before 3.13.10 and 3.14.1 lets its transport's TypeError or AttributeError out, which no
    retry recognises (redis-py #4287, fixed after 8.1.0). And `asyncio.wait_for`, in which redis-py
    writes, before 3.12 swallows a cancellation that arrives just when the write is done: a loop around
    a command would then go on for ever.
    """

    _writer: asyncio.StreamWriter | None

    async def _send_packed_command(self, command: Iterable[bytes]) -> None:
        if self._writer is None or self._writer.transport.is_closing():
            raise ConnectionResetError("Connection closed by the server.")
        await super()._send_packed_command(command)  # type: ignore[misc] # the next class in line has it

    async def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        task = asyncio.current_task()
        cancelled_before = task.cancelling() if task is not None else 0
        await super().send_packed_command(command, check_health)  # type: ignore[misc]
        if task is not None and task.cancelling() > cancelled_before:
            await self.disconnect(nowait=True)  # type: ignore[attr-defined]
            raise asyncio.CancelledError


class _Connection(_CheckedWrites, Connection):
    pass


class _TLSConnection(_CheckedWrites, SSLConnection):
    pass


class RedisConnections:
    """Clients for one Redis: a bounded pool for commands, own pools for commands that block.

    Making it does no I/O; connections open when used. Nothing is sent twice by itself: a command that
    fails raises redis-py's ConnectionError or TimeoutError, which says nothing about whether the server
    acted. Who knows that a second sending is harmless says so (`execute(..., idempotent=True)`).
    """

    def __init__(self, settings: RedisSettings) -> None:
        self.settings = settings
        self._commands = self._client(settings.socket_timeout, settings.pool_size, settings.pool_timeout)
        self._blocking: dict[float, Redis] = {}
        self._tracking: TrackingFeed | None = None

    async def execute(self, *command: Argument, idempotent: bool = False) -> Any:
        """Send one command that answers at once; its reply as it came (RESP3, bytes). One round trip.

        Args:
            command: name and arguments; for a command of two words, both: `"CLIENT", "INFO"`.
            idempotent: it is a read, or carries a token or a natural key, so it is sent again when the
                connection fails, within the retries and the seconds of the settings.

        Raises: redis-py's ConnectionError or TimeoutError when it was not answered: a command that
            changes something may or may not have been done. ResponseError when the server refuses it.
        """
        if idempotent:
            return await run_idempotent(lambda: self._once(*command), policy=self.settings.retry)
        return await self._once(*command)

    async def _once(self, *command: Argument) -> Any:
        return await self._commands.execute_command(*command)  # type: ignore[no-untyped-call]

    @property
    def commands(self) -> Redis:
        """redis-py's own client, for what `execute` is too plain for: pipelines, replies in its shapes.

        When all connections are busy, callers wait up to `pool_timeout` seconds for one, then get a
        ConnectionError."""
        return self._commands

    def blocking(self, block_seconds: float) -> Redis:
        """For commands that wait on the server for at most `block_seconds`.

        The socket timeout is that plus a margin, so a quiet server is not taken for a dead one. The
        client is kept per value: use few different values.
        """
        if block_seconds <= 0:
            raise ValueError("A blocking command needs a bound above 0 seconds: 0 would wait for ever.")
        client = self._blocking.get(block_seconds)
        if client is None:
            patience = block_seconds + BLOCK_MARGIN
            client = self._client(patience, self.settings.blocking_pool_size, patience)
            self._blocking[block_seconds] = client
        return client

    @property
    def invalidations(self) -> Invalidations:
        """Which keys others change; opens its connection when somebody watches."""
        if self._tracking is None:
            self._tracking = TrackingFeed(self)
        return self._tracking

    async def ping(self, timeout: float = 1.0) -> None:
        """One round trip, once, within `timeout` seconds.

        Raises: redis-py's ConnectionError or TimeoutError, or the builtin TimeoutError.
        """
        async with asyncio.timeout(timeout):
            await self._commands.ping()

    async def aclose(self) -> None:
        """Close every connection of every client made here."""
        if self._tracking is not None:
            await self._tracking.aclose()
        blocking, self._blocking = list(self._blocking.values()), {}
        for client in (self._commands, *blocking):
            await client.aclose()

    def _client(self, socket_timeout: float, size: int, wait: float) -> Redis:
        settings = self.settings
        options: dict[str, Any] = {
            "host": settings.host,
            "port": settings.port,
            "db": settings.db,
            "username": settings.username,
            "password": settings.password.get_secret_value() if settings.password else None,
            "client_name": settings.client_name,
            "socket_connect_timeout": settings.connect_timeout,
            "socket_timeout": socket_timeout,
            "socket_keepalive": settings.keepalive,
            "health_check_interval": settings.health_check_interval,
            "protocol": 3,
            "decode_responses": False,
            # Retrying is ours: redis-py cannot know which command is safe to send twice.
            "retry": Retry(NoBackoff(), 0),
            # Costs a lost round trip per connection, and in redis-py 8.1.0 keeps stale connections alive.
            "maint_notifications_config": MaintNotificationsConfig(enabled=False),
            "driver_info": None,
        }
        if settings.tls:
            options |= {
                "ssl_ca_certs": str(settings.tls_ca_file) if settings.tls_ca_file else None,
                "ssl_certfile": str(settings.tls_cert_file) if settings.tls_cert_file else None,
                "ssl_keyfile": str(settings.tls_key_file) if settings.tls_key_file else None,
            }
        pool = BlockingConnectionPool(
            max_connections=size,
            timeout=wait,
            connection_class=_TLSConnection if settings.tls else _Connection,
            **options,
        )
        return Redis.from_pool(pool)
