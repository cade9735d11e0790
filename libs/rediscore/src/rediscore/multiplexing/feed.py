"""Invalidations on the connection of the reads: broadcast client tracking (RESP3)."""

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from rediscore.invalidation import InvalidationListener
from rediscore.multiplexing.connection import MultiplexedConnection
from rediscore.multiplexing.wire import pack

_log = logging.getLogger(__name__)


class SharedFeed:
    """`rediscore.invalidation.Invalidations` of one multiplexed connection.

    The reply to a read comes before the invalidation that outdates it, because both come the same way:
    whoever stores a reply only if its key was not invalidated since he asked never keeps an old value.
    The end of the connection is told (`interrupted`) before any caller hears of it.

    Args:
        connect: makes sure that there is a connection, in the background.
    """

    heartbeat = 2.0
    """See `Invalidations`."""

    def __init__(self, connect: Callable[[], None]) -> None:
        self._connect = connect
        self._connection: MultiplexedConnection | None = None
        self._listeners: dict[bytes, InvalidationListener] = {}
        self._tracked: dict[bytes, bool] = {}  # on the server, also what nobody watches now; confirmed?
        self._epoch = 0  # a confirmation from before the last new start counts for nothing
        self._live: dict[bytes, InvalidationListener] = {}
        self._silent = False

    @property
    def watched(self) -> bool:
        return bool(self._listeners)

    def watch(self, prefix: str, listener: InvalidationListener) -> None:
        """See `Invalidations`. Raises ValueError when the prefix overlaps one that is watched."""
        name = prefix.encode()
        if any(_overlap(name, other) for other in self._listeners):
            raise ValueError(f"Prefix {prefix!r} overlaps one that is watched: the server refuses that.")
        self._listeners[name] = listener
        if self._connection is None:
            self._connect()
        elif any(_overlap(name, other) for other in self._tracked):
            # Between off and on the server may drop what it was about to say: all are interrupted.
            self._off(self._connection)
            self._track(self._connection, list(self._listeners))
        else:
            self._track(self._connection, [name])

    def unwatch(self, prefix: str) -> None:
        """See `Invalidations`."""
        name = prefix.encode()
        self._listeners.pop(name, None)
        self._live.pop(name, None)
        if not self._listeners and self._tracked and self._connection is not None:
            self._off(self._connection)

    def connected(self, connection: MultiplexedConnection) -> None:
        """A new connection: track on it before anything else is sent."""
        self._connection = connection
        self._silent = False
        if self._listeners:
            self._track(connection, list(self._listeners))

    def lost(self) -> None:
        """The connection is gone."""
        self._connection = None
        self._forget()

    def silent(self) -> None:
        self._silent = True
        self._interrupt()

    def audible(self) -> None:
        for listener in list(self._live.values()):
            listener.resumed()
        # Nothing is lost on a connection that was only slow: what it says from here on comes in order.
        if self._silent:
            self._silent = False
            self._resume()

    def pushed(self, push: list[Any]) -> None:
        """What the server said by itself; all but invalidations is passed over."""
        if push[0] != b"invalidate":
            return
        keys: list[bytes] | None = push[1]
        for prefix, listener in list(self._listeners.items()):
            if keys is None:
                listener.invalidated(None)
            elif mine := [key for key in keys if key.startswith(prefix)]:
                listener.invalidated(mine)

    def _track(self, connection: MultiplexedConnection, prefixes: list[bytes]) -> None:
        self._tracked.update(dict.fromkeys(prefixes, False))
        options = [word for prefix in prefixes for word in ("PREFIX", prefix)]
        reply = connection.send(pack(("CLIENT", "TRACKING", "ON", "BCAST", *options)))
        reply.add_done_callback(partial(self._answered, self._epoch, prefixes))

    def _off(self, connection: MultiplexedConnection) -> None:
        self._forget()
        reply = connection.send(pack(("CLIENT", "TRACKING", "OFF")))
        reply.add_done_callback(partial(self._answered, self._epoch, []))

    def _answered(self, epoch: int, prefixes: list[bytes], reply: "asyncio.Future[Any]") -> None:
        fault = reply.exception()
        if epoch != self._epoch:
            return
        if fault is not None:
            # Refused, by an ACL for example: the listeners stay interrupted, commands go on.
            _log.warning("client tracking is refused: %s", fault)
            return
        self._tracked.update(dict.fromkeys(prefixes, True))
        if not self._silent:
            self._resume()

    def _resume(self) -> None:
        for prefix, listener in list(self._listeners.items()):
            if self._tracked.get(prefix) and self._live.get(prefix) is not listener:
                self._live[prefix] = listener
                listener.resumed()

    def _forget(self) -> None:
        self._epoch += 1
        self._tracked.clear()
        self._interrupt()

    def _interrupt(self) -> None:
        live, self._live = self._live, {}
        for listener in live.values():
            listener.interrupted()


def _overlap(one: bytes, other: bytes) -> bool:
    return one.startswith(other) or other.startswith(one)
