"""One timer per connection, instead of one per command: late replies, silence, a server that moved."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

import redis.exceptions

from rediscore.multiplexing.connection import MultiplexedConnection
from rediscore.multiplexing.wire import pack

SILENCE: Final = 1.5
"""Seconds without a byte after which a watched connection counts as interrupted."""

_HEARTBEAT: Final = 0.5
_SHORTEST_TICK, _LONGEST_TICK = 0.02, 0.25
_TICKS: Final = 16
_PING: Final = pack(("PING",))


class Listener(Protocol):
    """Who must know that the connection is silent."""

    @property
    def watched(self) -> bool:
        """Whether anybody relies on hearing the server."""
        ...

    def silent(self) -> None:
        """Nothing came for `SILENCE` seconds although we asked. May be said again."""
        ...

    def audible(self) -> None:
        """It speaks. Is said again and again."""
        ...


class Watchdog:
    """Looks at its connection a few times within `timeout`.

    - The oldest command without a reply waits for longer than `timeout` (measured to an eighth of it):
      the connection ends with TimeoutError for all its callers. Time in which this process itself stood
      still does not count.
    - Nothing was heard for `idle` seconds: PING, so that a connection which died in silence is noticed
      before somebody needs it. While somebody watches, every 0.5 s, and silence is told within 2 s.
    - `moved()`: the endpoint is known to be elsewhere; the connection ends.
    """

    def __init__(
        self,
        connection: MultiplexedConnection,
        listener: Listener,
        *,
        timeout: float,
        idle: float,
        moved: Callable[[], bool],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._connection = connection
        self._listener = listener
        self._timeout = timeout
        self._idle = idle
        self._moved = moved
        self._tick = min(max(timeout / _TICKS, _SHORTEST_TICK), _LONGEST_TICK)
        self._sent: deque[tuple[float, int]] = deque()  # when, and how many commands were sent until then
        self._last = self._heard = self._loop.time()
        self._timer = self._loop.call_later(self._tick, self._look)

    def stop(self) -> None:
        """No more looks."""
        self._timer.cancel()

    def _look(self) -> None:
        now = self._loop.time()
        stood_still = max(0.0, now - self._last - 2 * self._tick)
        self._last = now
        if stood_still:
            self._sent = deque((when + stood_still, number) for when, number in self._sent)
            self._heard += stood_still
        if self._late(now):
            self._connection.lose(_no_reply)
        elif self._moved():
            self._connection.lose(_elsewhere)
        else:
            self._listen(now)
        if not self._connection.ended:
            self._timer = self._loop.call_later(self._tick, self._look)

    def _late(self, now: float) -> bool:
        answered, waiting = self._connection.answered, self._connection.waiting
        sent = self._sent
        while sent and sent[0][1] <= answered:
            sent.popleft()
        if waiting and (not sent or sent[-1][1] < answered + waiting):
            sent.append((now, answered + waiting))
        return bool(sent) and now - sent[0][0] >= self._timeout

    def _listen(self, now: float) -> None:
        watched = self._listener.watched
        if self._connection.heard:
            self._connection.heard = False
            self._heard = now
            self._listener.audible()
        quiet = now - self._heard
        if watched and quiet >= SILENCE:
            self._listener.silent()
        beat = _HEARTBEAT if watched else self._idle
        if beat and quiet >= beat and not self._connection.waiting:
            self._connection.send(_PING).add_done_callback(_look_away)


def _look_away(reply: "asyncio.Future[object]") -> None:
    # A heartbeat that fails has ended its connection; whoever needs it hears that.
    if not reply.cancelled():
        reply.exception()


def _no_reply() -> Exception:
    return redis.exceptions.TimeoutError("No reply from the server in time; the connection was dropped.")


def _elsewhere() -> Exception:
    return redis.exceptions.ConnectionError("The server is elsewhere now; the connection was dropped.")
