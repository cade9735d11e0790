"""One connection to one server: redis-py makes and keeps it, ours are the write, the read and the checks."""

import asyncio
from collections.abc import Iterable
from functools import cached_property
from typing import Any

import hiredis
import redis.exceptions
from redis.asyncio import Connection, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.maint_notifications import MaintNotificationsConfig

from rediscore.scripts import Argument
from rediscore.settings import RedisSettings

Address = tuple[str, int]

_BUFFERED = 65_536
"""Bytes that may wait in the process before a writer waits too."""


class Endpoint:
    """A server, wherever it is now, and how to connect to it. Making one does no I/O."""

    def __init__(self, settings: RedisSettings, address: Address | None = None) -> None:
        self.settings = settings
        self.address: Address = address or (settings.host, settings.port)
        """Where it was last seen."""

    async def locate(self) -> Address:
        """Where it is now."""
        return self.address

    async def check(self, connection: "ServerConnection") -> None:
        """Refuse a fresh connection that leads to the wrong server: raise redis-py's ConnectionError."""

    def moved(self, connection: "ServerConnection") -> bool:
        """Whether the server is known to be elsewhere than this connection leads. Asked at every use."""
        return False

    async def aclose(self) -> None:
        """End what it does by itself."""

    def connection(self, socket_timeout: float | None = None) -> "ServerConnection":
        """A connection of the caller's own, outside of all pools: `connect` it, at the end `disconnect` it.

        Args:
            socket_timeout: seconds a reply may take; None: as in the settings.
        """
        options = self.options(socket_timeout or self.settings.socket_timeout)
        return self.connection_class(**options)

    @property
    def connection_class(self) -> type["ServerConnection"]:
        return _TLSConnection if self.settings.tls else _PlainConnection

    def options(self, socket_timeout: float) -> dict[str, Any]:
        """What redis-py's connection class takes."""
        return {**self._options, "socket_timeout": socket_timeout}

    @cached_property
    def _options(self) -> dict[str, Any]:
        settings = self.settings
        options: dict[str, Any] = {
            "endpoint": self,
            "host": self.address[0],
            "port": self.address[1],
            "db": settings.db,
            "username": settings.username,
            "password": settings.password.get_secret_value() if settings.password else None,
            "client_name": settings.client_name,
            "socket_connect_timeout": settings.connect_timeout,
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
        return options


class ServerConnection(Connection):
    """redis-py's connection with our rules.

    - Writing goes straight to the socket: redis-py wraps each write in `asyncio.wait_for`, which before
      Python 3.12 starts a task per command and may swallow a cancellation. Writing to a connection that
      the peer reset is a ConnectionError; CPython before 3.13.10 and 3.14.1 lets its transport's
      TypeError or AttributeError out, which no retry recognises (redis-py #4287).
    - Connecting, with the handshake, takes at most `connect_timeout`.
    - A server that says it is a replica now has not done what it was asked: ConnectionError, and the
      connection is dropped, so that the next one finds the primary.
    """

    def __init__(self, *, endpoint: Endpoint, **options: Any) -> None:
        self._endpoint = endpoint
        super().__init__(**options)

    async def connect(self) -> None:
        try:
            async with asyncio.timeout(self.socket_connect_timeout):
                await super().connect()  # type: ignore[no-untyped-call]
        except TimeoutError:
            await self.disconnect(nowait=True)
            raise redis.exceptions.TimeoutError("Timeout connecting to server") from None

    async def _connect(self) -> None:
        self.host, self.port = await self._endpoint.locate()
        await super()._connect()  # type: ignore[no-untyped-call]

    async def on_connect_check_health(self, check_health: bool = True) -> None:
        await super().on_connect_check_health(check_health=check_health)
        await self._endpoint.check(self)

    async def ready(self) -> None:
        """Connected, with nothing unread: what a pool may hand out. Usually no I/O."""
        if self.is_connected and (await self._dirty() or self._endpoint.moved(self)):
            await self.disconnect(nowait=True)
        if not self.is_connected:
            await self.connect()

    def close_now(self) -> None:
        """Close it without waiting for the end of it."""
        self._close()  # type: ignore[no-untyped-call]

    async def _dirty(self) -> bool:
        try:
            return bool(await self.can_read())
        except redis.exceptions.ConnectionError:
            return True

    async def round_trip(self, command: tuple[Argument, ...], asking: bool = False) -> Any:
        """Send one command and wait for its reply, on a connection that is `ready`.

        Cancelled or failed half-way the connection is closed, so no reply is left to the next command.
        """
        if self.health_check_interval and asyncio.get_running_loop().time() > self.next_health_check:
            await self.check_health()  # type: ignore[no-untyped-call]
        if asking:
            await self._write([*self.pack_command("ASKING"), *self.pack_command(*command)])
            await self.read_response()
        else:
            await self._write(self.pack_command(*command))
        return await self.read_response()

    async def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        if not self.is_connected:
            await self.connect_check_health(check_health=False)
        if check_health:
            await self.check_health()  # type: ignore[no-untyped-call]
        await self._write([command] if isinstance(command, bytes) else command)

    async def _write(self, command: Iterable[bytes]) -> None:
        writer = self._writer
        if writer is None or writer.transport.is_closing():
            await self.disconnect(nowait=True)
            raise redis.exceptions.ConnectionError("Connection closed by the server.")
        try:
            writer.writelines(command)
            if writer.transport.get_write_buffer_size() > _BUFFERED:
                async with asyncio.timeout(self.socket_timeout):
                    await writer.drain()
        except TimeoutError:
            await self.disconnect(nowait=True)
            raise redis.exceptions.TimeoutError("Timeout writing to socket") from None
        except OSError as error:
            await self.disconnect(nowait=True)
            raise redis.exceptions.ConnectionError(f"Error while writing to socket: {error}.") from error
        except BaseException:
            # Half a command may be written.
            await self.disconnect(nowait=True)
            raise

    def pack_command(self, *args: Any) -> list[bytes]:
        # redis-py takes two words as one: "CLIENT INFO".
        name = args[0]
        if isinstance(name, str) and " " in name:
            args = (*name.split(), *args[1:])
        try:
            return [hiredis.pack_command(args)]
        except TypeError:
            # What only redis-py's own encoder knows, or refuses with its own error.
            packed: list[bytes] = super().pack_command(*args)
            return packed

    async def read_response(
        self,
        disable_decoding: bool = False,
        timeout: float | None = None,
        *,
        disconnect_on_error: bool = True,
        push_request: bool | None = False,
    ) -> Any:
        try:
            return await super().read_response(
                disable_decoding,
                timeout,
                disconnect_on_error=disconnect_on_error,
                push_request=push_request,
            )
        except redis.exceptions.ResponseError as refusal:
            if not _demoted(refusal):
                raise
            await self.disconnect(nowait=True)
            raise redis.exceptions.ConnectionError(
                "The server is a replica now; it has not done the command."
            ) from None


def _demoted(refusal: redis.exceptions.ResponseError) -> bool:
    # Blocked commands hear UNBLOCKED when their server becomes a replica.
    return isinstance(refusal, redis.exceptions.ReadOnlyError) or str(refusal).startswith("UNBLOCKED ")


class _PlainConnection(ServerConnection):
    pass


class _TLSConnection(ServerConnection, SSLConnection):
    pass
