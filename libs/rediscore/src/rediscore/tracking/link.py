"""One connection that hears which keys change on one server."""

import asyncio
import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

import redis.exceptions
from redis.asyncio.connection import DefaultParser

from rediscore.transport import Endpoint, ServerConnection

INTERVAL: Final = 0.75
"""Seconds between two heartbeats."""

PATIENCE: Final = 1.0
"""Seconds that an answer may take."""


@dataclass(frozen=True, slots=True)
class _Push:
    keys: Sequence[bytes] | None


class TrackingLink:
    """`CLIENT TRACKING ON BCAST` on one server, for as long as `run` runs.

    Args:
        wanted: the prefixes; what is added to it later is asked for after `wake`.
        changed: called with the keys of each message, None for all.
        answered: called when the server has answered: every change before that has been told.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        wanted: Collection[str],
        changed: Callable[[Sequence[bytes] | None], None],
        answered: Callable[["TrackingLink"], None],
    ) -> None:
        self._endpoint = endpoint
        self._wanted = wanted
        self._changed = changed
        self._answered = answered
        self._reading: asyncio.Timeout | None = None
        self._woken = False
        self.confirmed: set[str] = set()
        """Prefixes whose changes this connection hears."""

    async def run(self) -> None:
        """Connect and listen. Returns never.

        Raises: redis-py's errors when the connection is lost, or silent for longer than a heartbeat and
            the patience, or leads to a server that is no longer the one.
        """
        connection = self._endpoint.connection()
        connection.set_parser(_parser)  # type: ignore[arg-type] # it calls it with one argument
        try:
            await connection.connect()
            await self._listen(connection)
        finally:
            self.confirmed.clear()
            await connection.disconnect(nowait=True)

    def wake(self) -> None:
        """Somebody waits to be told that they are heard: ask now, not after the heartbeat."""
        self._woken = True
        if self._reading is not None and not self._reading.expired():
            self._reading.reschedule(asyncio.get_running_loop().time())

    async def _listen(self, connection: ServerConnection) -> None:
        now = asyncio.get_running_loop().time
        asked: list[str] | None = None  # what the next answer confirms; none after a heartbeat
        heartbeat = deadline = now() + INTERVAL
        excused = False
        while True:
            if asked is None:
                woken, self._woken = self._woken, False
                if new := [prefix for prefix in self._wanted if prefix not in self.confirmed]:
                    words = [word for prefix in new for word in ("PREFIX", prefix)]
                    await connection.send_command(
                        "CLIENT", "TRACKING", "ON", "BCAST", *words, check_health=False
                    )
                    asked = new
                elif woken or now() >= heartbeat:
                    await connection.send_command("PING", check_health=False)
                    asked = []
                deadline, excused = (heartbeat if asked is None else now() + PATIENCE), False
            try:
                async with asyncio.timeout_at(deadline) as self._reading:
                    await self._answer(connection)
            except TimeoutError:
                if asked is None or now() < deadline:  # time for a heartbeat, or woken
                    continue
                if excused or not await connection.can_read():
                    raise redis.exceptions.ConnectionError("The invalidation feed is silent.") from None
                # It was us who did not look: the event loop was blocked. What came meanwhile lies there.
                deadline, excused = now() + PATIENCE / 4, True
                continue
            finally:
                self._reading = None
            if self._endpoint.moved(connection):
                raise redis.exceptions.ConnectionError("The primary is elsewhere now.")
            self.confirmed.update(asked or ())
            asked, heartbeat = None, now() + INTERVAL
            self._answered(self)

    async def _answer(self, connection: ServerConnection) -> None:
        """Tell what is pushed, until the answer comes."""
        while True:
            reply = await connection.read_response(
                timeout=math.inf, push_request=True, disconnect_on_error=False
            )
            if not isinstance(reply, _Push):
                return
            self._changed(reply.keys)


def _parser(socket_read_size: int) -> Any:
    """redis-py's parser, that gives a message as it came instead of dropping it."""
    parser: Any = DefaultParser(socket_read_size=socket_read_size)
    parser.set_invalidation_push_handler(_as_push)
    return parser


async def _as_push(message: Sequence[Any]) -> _Push:
    return _Push(message[1])
