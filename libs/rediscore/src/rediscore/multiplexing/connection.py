"""One connection for everybody: commands of one turn of the loop in one write, replies in their order."""

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, Final, Protocol, cast

import redis.exceptions

from rediscore.multiplexing.wire import NOT_ENOUGH, Push, reply_reader

IN_FLIGHT: Final = 4096
"""Commands on the wire at most; more wait their turn in the process."""

HELD: Final = 65_536
"""Commands that may wait for their turn at most; more are refused."""

_READ_BYTES = 65_536

_Future = asyncio.Future[Any]


class Owner(Protocol):
    """Who is told about what is no reply. Called at once, in the order of the bytes."""

    def pushed(self, push: list[Any]) -> None:
        """The server said something by itself."""
        ...

    def lost(self, connection: "MultiplexedConnection") -> None:
        """The connection is gone; nobody who waits for a reply knows it yet."""
        ...


class MultiplexedConnection(asyncio.BufferedProtocol):
    """Matches replies to commands, first in, first out.

    A cancelled future keeps its place: its reply is read and thrown away. Any fault of the wire ends the
    connection, and every command that has no reply fails: nobody gets somebody else's reply.

    Args:
        owner: hears of pushes and of the end.
        in_flight: commands on the wire at most.
        held: commands beyond them that wait in the process at most.
    """

    def __init__(self, owner: Owner, *, in_flight: int = IN_FLIGHT, held: int = HELD) -> None:
        loop = asyncio.get_running_loop()
        self._owner = owner
        self._call_soon = loop.call_soon
        self._new_future: Callable[[], _Future] = partial(asyncio.Future, loop=loop)
        self._transport: asyncio.Transport | None = None
        self._reader = reply_reader()
        self._gets = self._reader.gets
        self._buffer = bytearray(_READ_BYTES)
        self._view = memoryview(self._buffer)
        self._outgoing: list[bytes] = []
        self._waiting: deque[_Future] = deque()
        self._most = in_flight
        self._limit = in_flight  # 0 while new commands have to wait behind others
        self._held: deque[tuple[bytes, _Future]] = deque()
        self._most_held = held
        self._paused = False
        self.answered = 0
        """Replies so far."""
        self.heard = False
        """Whether bytes came since somebody last set this to False."""
        self.ended = False
        """Whether it is lost; then it stays so."""
        self.closed: asyncio.Future[None] = loop.create_future()
        """Done when the transport is closed."""

    @property
    def waiting(self) -> int:
        """Commands on the wire without a reply, those of cancelled callers too."""
        return len(self._waiting)

    def send(self, packed: bytes) -> _Future:
        """Write these bytes of one command with all others of this turn of the loop; its reply to come.

        The future fails with redis-py's errors. Cancelling it does not take the command back.
        """
        future = self._new_future()
        if len(self._waiting) < self._limit:
            self._waiting.append(future)
            if not self._outgoing:
                self._call_soon(self._write)
            self._outgoing.append(packed)
        else:
            self._hold(packed, future)
        return future

    def lose(self, error: Callable[[], Exception]) -> None:
        """End it: tell the owner, then fail whoever waits, each with an exception of its own."""
        if self.ended:
            return
        self.ended = True
        self._limit = 0
        try:
            self._owner.lost(self)
        finally:
            if self._transport is not None:
                self._transport.abort()
            waiting = [*self._waiting, *(future for _, future in self._held)]
            self._waiting.clear()
            self._held.clear()
            self._outgoing.clear()
            for future in waiting:
                if not future.done():
                    future.set_exception(error())

    def _write(self) -> None:
        if self._transport is None or not self._outgoing or self._transport.is_closing():
            return  # when it is closing, its end will fail who waits
        outgoing, self._outgoing = self._outgoing, []
        self._transport.write(outgoing[0] if len(outgoing) == 1 else b"".join(outgoing))

    def _hold(self, packed: bytes, future: _Future) -> None:
        if self.ended:
            future.set_exception(_closed())
            return
        self._limit = 0
        if len(self._held) >= self._most_held:
            self._held = deque(entry for entry in self._held if not entry[1].done())
        if len(self._held) >= self._most_held:
            future.set_exception(
                redis.exceptions.ConnectionError(f"{self._most_held} commands wait for Redis; not sent.")
            )
        else:
            self._held.append((packed, future))

    def _release(self) -> None:
        """Send what was held, as much as may be on the wire; who was cancelled meanwhile is not sent."""
        if self._paused or self.ended:
            return
        while self._held and len(self._waiting) < self._most:
            packed, future = self._held.popleft()
            if future.done():
                continue
            self._waiting.append(future)
            if not self._outgoing:
                self._call_soon(self._write)
            self._outgoing.append(packed)
        if not self._held:
            self._limit = self._most

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own is not an instance

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._view

    def buffer_updated(self, nbytes: int) -> None:
        self.heard = True
        waiting = self._waiting
        before = len(waiting)
        gets = self._gets
        try:
            self._reader.feed(self._buffer, 0, nbytes)
            while (reply := gets()) is not NOT_ENOUGH:
                if type(reply) is Push:
                    self._owner.pushed(reply)
                    continue
                if not waiting:
                    raise redis.exceptions.InvalidResponse("A reply that nobody asked for")
                future = waiting.popleft()
                if isinstance(reply, redis.exceptions.RedisError):
                    if isinstance(reply, redis.exceptions.ReadOnlyError):
                        waiting.appendleft(future)
                        self.lose(_demoted)
                        return
                    if not future.done():
                        future.set_exception(reply)
                elif not future.done():
                    future.set_result(reply)
        except redis.exceptions.InvalidResponse as fault:
            self.lose(partial(_broken, fault))
            return
        self.answered += before - len(waiting)
        if self._held:
            self._release()

    def pause_writing(self) -> None:
        self._paused = True
        self._limit = 0

    def resume_writing(self) -> None:
        self._paused = False
        self._release()

    def eof_received(self) -> bool:
        self.lose(_closed)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.lose(_closed if exc is None else partial(_broken, exc))
        if not self.closed.done():
            self.closed.set_result(None)


def _closed() -> Exception:
    return redis.exceptions.ConnectionError("Connection closed by the server.")


def _broken(error: Exception) -> Exception:
    return redis.exceptions.ConnectionError(f"The connection broke: {error}.")


def _demoted() -> Exception:
    return redis.exceptions.ConnectionError("The server is a replica now; it has not done the command.")
