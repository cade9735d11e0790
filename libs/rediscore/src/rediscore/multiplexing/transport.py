"""A `Transport` that sends the commands of all tasks over one connection."""

import asyncio
from collections.abc import Awaitable
from functools import partial
from typing import Any, Final

import redis.exceptions

from rediscore.multiplexing import routing
from rediscore.multiplexing._redis_py import give_up, take_over
from rediscore.multiplexing.connection import MultiplexedConnection
from rediscore.multiplexing.feed import SharedFeed
from rediscore.multiplexing.watchdog import Watchdog
from rediscore.multiplexing.wire import pack
from rediscore.retry import Backoff, is_transient
from rediscore.scripts import Argument
from rediscore.transport import Endpoint, Transport

LARGE: Final = 65_536
"""Bytes of a command from which on it goes through the pool, so that nobody stands behind it."""

_SHARED: Final = routing.SHARED
_ASKING: Final = pack(("ASKING",))


class Multiplexer:
    """Commands of concurrent tasks in one turn of the event loop travel in one write.

    - A cancelled caller leaves its command where it is; the reply is thrown away, the connection stays.
    - An error reply reaches its caller alone. A lost connection, or a reply that does not come within
      `socket_timeout`, fails every command that waits; none is sent again.
    - The connection opens when used; callers share one attempt, and attempts that fail one after the
      other are `backoff_initial` to `backoff_maximum` apart.
    - Commands that block and commands above 64 kB go through `pool`; those that would change the
      connection for others are refused.

    Belongs to one event loop. Sends in the order of the calls.

    Args:
        endpoint: the server, and how redis-py connects to it.
        pool: the transport for what must not share; not closed here.
    """

    def __init__(self, endpoint: Endpoint, pool: Transport) -> None:
        self._endpoint = endpoint
        self._pool = pool
        self._connection: MultiplexedConnection | None = None
        self._connecting: asyncio.Task[MultiplexedConnection] | None = None
        self._backoff = Backoff(endpoint.settings.backoff_initial, endpoint.settings.backoff_maximum)
        self._failures = 0  # attempts and connections one after the other that came to nothing
        self._closed = False
        self._watchdog: Watchdog | None = None
        self.invalidations = SharedFeed(self._connect_soon)
        """Which keys others change, told on the connection of the reads."""

    def execute(self, *command: Argument, asking: bool = False) -> Awaitable[Any]:
        """See `Transport`: one round trip.

        Raises: NotMultiplexedError for SELECT, MULTI, SUBSCRIBE and the like.
        """
        connection = self._connection
        if connection is None or asking or command[0] not in _SHARED:
            return self._execute(command, asking)
        try:
            packed = pack(command)
        except TypeError as error:
            raise _unsendable(error) from None
        if len(packed) > LARGE:
            return self._pool.execute(*command)
        return connection.send(packed)

    async def aclose(self) -> None:
        """Close the connection; who waits for a reply gets a ConnectionError."""
        self._closed = True
        if (connecting := self._connecting) is not None:
            connecting.cancel()
            await asyncio.wait({connecting})
        if (connection := self._connection) is not None:
            connection.lose(_closed)
            await connection.closed

    async def _execute(self, command: tuple[Argument, ...], asking: bool) -> Any:
        command = routing.split_name(command)
        if not routing.shares(command):
            return await self._pool.execute(*command, asking=asking)
        try:
            packed = pack(command)
        except TypeError as error:
            raise _unsendable(error) from None
        if len(packed) > LARGE:
            return await self._pool.execute(*command, asking=asking)
        connection = self._connection or await self._connected()
        if asking:
            connection.send(_ASKING).add_done_callback(_look_away)
        return await connection.send(packed)

    async def _connected(self) -> MultiplexedConnection:
        connecting = self._start_connecting()
        # A cancelled caller leaves the attempt to the others.
        await asyncio.wait({connecting})
        if connecting.cancelled():
            raise _closed()
        return connecting.result()

    def _start_connecting(self) -> "asyncio.Task[MultiplexedConnection]":
        if self._closed:
            raise _closed()
        if self._connecting is None:
            self._connecting = asyncio.create_task(self._connect())
            self._connecting.add_done_callback(self._connect_ended)
        return self._connecting

    async def _connect(self) -> MultiplexedConnection:
        if self._failures:
            await asyncio.sleep(self._backoff.delay(self._failures))
        settings = self._endpoint.settings
        stream = self._endpoint.connection()
        connection = MultiplexedConnection(self)
        connection.connection_made(await take_over(stream, connection))
        self._watchdog = Watchdog(
            connection,
            self.invalidations,
            timeout=settings.socket_timeout,
            idle=settings.health_check_interval,
            moved=partial(self._endpoint.moved, stream),
        )
        connection.closed.add_done_callback(lambda _: give_up(stream))
        self._connection = connection
        self.invalidations.connected(connection)
        return connection

    def _connect_ended(self, task: "asyncio.Task[MultiplexedConnection]") -> None:
        self._connecting = None
        error = None if task.cancelled() else task.exception()
        if error is None:
            return
        self._failures += 1
        if self.invalidations.watched and is_transient(error) and not self._closed:
            self._start_connecting()

    def _connect_soon(self) -> None:
        """Somebody watches, so do not wait for a command. Without a running loop the first one connects."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return
        if not self._closed:
            self._start_connecting()

    # What the connection tells.

    def pushed(self, push: list[Any]) -> None:
        self.invalidations.pushed(push)

    def lost(self, connection: MultiplexedConnection) -> None:
        if connection is not self._connection:
            return
        self._connection = None
        self._failures = 0 if connection.answered else self._failures + 1
        if self._watchdog is not None:
            self._watchdog.stop()
        self.invalidations.lost()
        if self.invalidations.watched:
            self._connect_soon()


def _look_away(reply: "asyncio.Future[Any]") -> None:
    if not reply.cancelled():
        reply.exception()


def _unsendable(error: TypeError) -> redis.exceptions.DataError:
    return redis.exceptions.DataError(f"Cannot send this command: {error}")


def _closed() -> redis.exceptions.ConnectionError:
    return redis.exceptions.ConnectionError("These connections are closed.")
