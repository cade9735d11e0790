"""Hearing that it is one's turn: one channel and one subscription for all waiters of a `Locks`."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass

from redis.exceptions import RedisError

from rediscore.client import RedisConnections
from rediscore.keys import KeySpace
from rediscore.pubsub import LiveChannels
from rediscore.requests import request_id


@dataclass(frozen=True, slots=True)
class Turn:
    """The lock is ours, for a heartbeat."""

    token: int
    since_arrival: bool
    """Counted since our first request; else since the last one."""


class Wakeup:
    """What one waiter waits for. Woken without a turn it has to ask."""

    def __init__(self) -> None:
        self.event = asyncio.Event()
        self.turn: Turn | None = None


class Wakeups:
    """Waiters by their owner id, and the events that wake them.

    A message may get lost: who waits looks again by itself, and all do after an interruption.
    """

    def __init__(self, connections: RedisConnections, keys: KeySpace) -> None:
        self._channels = LiveChannels(connections)
        self._channel = keys.key("lock", "turn", request_id())
        self._waiting: dict[bytes, Wakeup] = {}
        self._hearing: asyncio.Task[None] | None = None

    def new_owner(self) -> str:
        """An id that nobody else has and that says where its owner hears."""
        return f"{self._channel}#{request_id()}"

    def expect(self, owner: str) -> Wakeup:
        """Its event is set when it is this owner's turn, or may be."""
        if self._hearing is None:
            self._hearing = asyncio.create_task(self._hear(), name="lock-turns")
        return self._waiting.setdefault(owner.encode(), Wakeup())

    def forget(self, owner: str) -> None:
        """It waits no longer."""
        self._waiting.pop(owner.encode(), None)

    async def aclose(self) -> None:
        """Hear no more."""
        hearing, self._hearing = self._hearing, None
        if hearing is not None:
            hearing.cancel()
            await asyncio.wait({hearing})

    async def _hear(self) -> None:
        while True:
            # Entering waits for the server by itself; without one it fails after some seconds.
            with suppress(RedisError):
                async with self._channels.subscription(self._channel) as messages:
                    self._wake_all()  # what was said until now was not heard
                    async for message in messages:
                        if not isinstance(message, bytes):
                            self._wake_all()
                        else:
                            self._tell(message)

    def _wake_all(self) -> None:
        for wakeup in self._waiting.values():
            wakeup.event.set()

    def _tell(self, message: bytes) -> None:
        """`owner token because`, as lua/lib.lua says it."""
        owner, token, because = message.split(b" ")
        if wakeup := self._waiting.get(owner):
            wakeup.turn = Turn(int(token), since_arrival=because == b"a")
            wakeup.event.set()
