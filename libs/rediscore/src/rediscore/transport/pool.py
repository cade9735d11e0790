"""A bounded pool whose callers wait in line, and in which a cancellation loses nothing."""

import asyncio
from collections import deque
from typing import Any, cast

import redis.exceptions
from redis.asyncio import ConnectionPool
from redis.maint_notifications import MaintNotificationsConfig

from rediscore.scripts import Argument
from rediscore.transport.connection import Endpoint, ServerConnection


class Pool(ConnectionPool):
    """Connections to one endpoint: a `Transport`, and a pool for redis-py's own client.

    Taking and giving back never await while a connection belongs to nobody, so a cancelled caller
    neither leaks a place nor leaves a connection behind whose next reply is somebody else's; redis-py's
    BlockingConnectionPool gives back behind a lock, where a cancelled caller's place is lost.

    Args:
        size: connections at most.
        wait: seconds a caller waits for one, first come first served, before a ConnectionError.
        socket_timeout: seconds a reply may take; None: as in the settings.
    """

    def __init__(
        self, endpoint: Endpoint, *, size: int, wait: float, socket_timeout: float | None = None
    ) -> None:
        super().__init__(
            connection_class=endpoint.connection_class,
            max_connections=size,
            maint_notifications_config=MaintNotificationsConfig(enabled=False),
            **{
                name: value
                for name, value in endpoint.options(
                    socket_timeout or endpoint.settings.socket_timeout
                ).items()
                if name != "maint_notifications_config"
            },
        )
        self.endpoint = endpoint
        self._wait = wait
        self._waiters: deque[asyncio.Future[ServerConnection]] = deque()
        self._closed = False

    @property
    def in_use(self) -> int:
        """Connections that are out now."""
        return len(self._in_use_connections)

    async def execute(self, *command: Argument, asking: bool = False) -> Any:
        """See `Transport`. One round trip; before the first use of a connection its handshake."""
        connection = await self._take()
        try:
            await connection.ready()
            return await connection.round_trip(command, asking)
        finally:
            self._give_back(connection)

    async def get_connection(self, command_name: Any = None, *keys: Any, **options: Any) -> ServerConnection:
        connection = await self._take()
        try:
            await connection.ready()
        except BaseException:
            self._give_back(connection)
            raise
        return connection

    async def release(self, connection: Any) -> None:
        self._give_back(connection)

    async def aclose(self) -> None:
        self._closed = True
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_exception(_closed())
        await self.disconnect()

    async def _take(self) -> ServerConnection:
        if self._closed:
            raise _closed()
        # While somebody stands in line none is free: what is given back goes straight to the first of them.
        if self._available_connections:
            connection = self._available_connections.pop()
        elif len(self._in_use_connections) < self.max_connections:
            connection = self.make_connection()  # type: ignore[no-untyped-call]
        else:
            return await self._stand_in_line()
        self._in_use_connections.add(connection)
        return cast("ServerConnection", connection)

    async def _stand_in_line(self) -> ServerConnection:
        waiter: asyncio.Future[ServerConnection] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            async with asyncio.timeout(self._wait):
                try:
                    return await waiter
                except asyncio.CancelledError:
                    # The connection came at the same moment.
                    if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                        self._give_back(waiter.result())
                    raise
        except TimeoutError:
            raise redis.exceptions.ConnectionError("No connection available.") from None

    def _give_back(self, connection: ServerConnection) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(connection)
                return
        if self._closed:
            connection.close_now()  # its handshake ended after `aclose`
        self._in_use_connections.remove(connection)
        self._available_connections.append(connection)


def _closed() -> redis.exceptions.ConnectionError:
    return redis.exceptions.ConnectionError("These connections are closed.")
