"""A TCP proxy between client and server that hurts on demand."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit, urlunsplit


@dataclass
class _ReplyFault:
    """What happens to the replies to the next `left` requests that contain `after`."""

    after: bytes
    left: int
    delay: float | None  # None: the reply is lost


class _Link:
    """One client connection and its connection to the server."""

    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self.writers = (client, server)
        self.swallowing = False
        self.delay = 0.0
        self._ended = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        """Until then, or until the link is cut."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._ended.wait()

    def abort(self) -> None:
        self._ended.set()
        for writer in self.writers:
            writer.transport.abort()


class FaultProxy:
    """Forwards bytes to one server; between them it can wait, stop, cut, or lose a reply.

    Faults are what a network does: they never change bytes. Use `url(...)` for an address that leads
    through the proxy. Asynchronous context manager; closing it drops all connections.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._server: asyncio.Server | None = None
        self.links: set[_Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._open = asyncio.Event()
        self._open.set()
        self._refusing = False
        self._faults: list[_ReplyFault] = []
        self.latency = 0.0
        """Seconds that each chunk of a reply waits."""
        self.swallowed = 0
        """Replies lost so far; look here to know that the fault has happened."""
        self.delayed = 0
        """Replies held back so far by `delay_reply`."""
        self.on_swallow: Callable[[], Awaitable[None]] | None = None
        """Runs when a reply is lost, before the client can notice."""

    @property
    def port(self) -> int:
        assert self._server is not None, "start the proxy first"  # noqa: S101
        return int(self._server.sockets[0].getsockname()[1])

    def url(self, server_url: str) -> str:
        """The same address, through the proxy."""
        parts = urlsplit(server_url)
        user = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
        return urlunsplit(parts._replace(netloc=f"{user}127.0.0.1:{self.port}"))

    def swallow_reply(self, after: bytes = b"EVAL", *, count: int = 1) -> None:
        """Lose the replies to the next `count` requests that contain `after`, and cut their connections.

        The server has done what it was asked; the client sees the connection end. 0 calls it off.
        """
        self._expect(_ReplyFault(after, count, None))

    def delay_reply(self, seconds: float, after: bytes = b"EVAL", *, count: int = 1) -> None:
        """Hold back the replies to the next `count` requests that contain `after`: done, but told late."""
        self._expect(_ReplyFault(after, count, seconds))

    def _expect(self, fault: _ReplyFault) -> None:
        self._faults = [other for other in self._faults if other.after != fault.after] + [fault]

    def pause(self) -> None:
        """Forward nothing, and keep the connections open: what a hanging network looks like."""
        self._open.clear()

    def resume(self) -> None:
        """End `pause`: what has waited arrives now."""
        self._open.set()

    def reset(self) -> None:
        """Break every connection; new ones are welcome."""
        for link in list(self.links):
            link.abort()

    def cut(self) -> None:
        """Break every connection and refuse new ones until `restore`."""
        self._refusing = True
        self.reset()

    def restore(self) -> None:
        """End `cut`."""
        self._refusing = False

    async def start(self) -> None:
        """Listen on a free port of 127.0.0.1."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)

    async def stop(self) -> None:
        """Close the port and every connection."""
        assert self._server is not None, "start the proxy first"  # noqa: S101
        self._server.close()
        self.resume()
        self.cut()
        await asyncio.gather(*self._tasks)
        await self._server.wait_closed()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  asyncio runs this in a task
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            server_reader, server_writer = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            return
        link = _Link(writer, server_writer)
        self.links.add(link)
        if self._refusing:
            link.abort()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._requests(reader, server_writer, link))
                group.create_task(self._replies(server_reader, writer, link))
        finally:
            link.abort()
            self.links.discard(link)

    async def _requests(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, link: _Link) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                await self._open.wait()
                self._prepare(link, data)
                sink.write(data)
                await sink.drain()
        link.abort()

    async def _replies(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, link: _Link) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                if link.swallowing:
                    self.swallowed += 1
                    if self.on_swallow is not None:
                        await self.on_swallow()
                    break
                if link.delay:
                    self.delayed += 1
                    delay, link.delay = link.delay, 0.0
                    await link.sleep(delay)
                if self.latency:
                    await link.sleep(self.latency)
                await self._open.wait()
                sink.write(data)
                await sink.drain()
        link.abort()

    def _prepare(self, link: _Link, request: bytes) -> None:
        for fault in self._faults:
            if fault.left > 0 and fault.after in request:
                fault.left -= 1
                if fault.delay is None:
                    link.swallowing = True
                else:
                    link.delay = fault.delay
