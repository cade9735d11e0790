"""The embedded Redis in the shape that a keeper keeps running."""

import asyncio
import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from pizzeria.errors import StartFailedError

if TYPE_CHECKING:
    from rediscore.embedded import EmbeddedServer

_LOOK_SECONDS = 0.05


class RedisServer:
    """`rediscore.embedded.EmbeddedServer` for asyncio: its blocking calls run on one thread of our own.

    The server dies with the thread that started it, so that thread lives until `close`.

    Args:
        data: gets one folder per flavour of server, because one cannot read another's files.
    """

    name = "redis"

    def __init__(self, data: Path, *, port: int, password: str) -> None:
        self._data = data
        self._port = port
        self._password = password
        self._server: EmbeddedServer | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="redis-server")

    @property
    def url(self) -> str:
        """Address with password."""
        return f"redis://:{self._password}@127.0.0.1:{self._port}/0"

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._server.pid if self._server is not None else None

    async def start(self) -> None:
        """Start it and return when it answers with its data loaded. Raises: StartFailedError."""
        await self._call(self._start)

    async def wait(self) -> str:
        """Return when it has ended."""
        while self.pid is not None:  # noqa: ASYNC110  another process
            await asyncio.sleep(_LOOK_SECONDS)
        return "ended"

    async def stop(self, grace_seconds: float) -> None:
        """End it in good order, its data on disk; kill it after `grace_seconds`."""
        server = self._server
        if server is not None:
            self.signal(signal.SIGCONT)  # a paused server hears SIGTERM only when it goes on
            await self._call(lambda: server.stop(grace_seconds))

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to it; nothing happens when it does not run."""
        if (pid := self.pid) is not None:
            os.kill(pid, number)

    async def wipe(self) -> None:
        """Lose everything that it holds while it runs."""
        if self._server is not None:
            await self._call(self._server.wipe)

    def close(self) -> None:
        """Give the thread back; a server that still runs ends with it."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _start(self) -> None:
        # Imported here: it brings the Redis client along, and the services start meanwhile.
        from rediscore.embedded import EmbeddedServer, ServerFailedError, ServerNotFoundError, find_server

        try:
            if self._server is None:
                binary = find_server()
                self._server = EmbeddedServer(
                    self._data / binary.flavour, port=self._port, password=self._password, binary=binary
                )
            self._server.start()
        except (ServerFailedError, ServerNotFoundError) as error:
            raise StartFailedError(str(error)) from error

    async def _call(self, function: Callable[[], None]) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, function)
