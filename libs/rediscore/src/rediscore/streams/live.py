"""Hints over pub/sub: "look again". They may get lost, and nothing may depend on them."""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Mapping
from typing import Any

from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

from rediscore.client import RedisConnections
from rediscore.retry import Backoff

log = logging.getLogger(__name__)

_WAITING_HINTS = 100
_POLL = 1.0


class LiveChannels:
    """Sending and hearing hints. All listeners of a process share one connection.

    Pub/sub keeps nothing: who is not connected misses what is said. So use it only where a miss costs
    freshness, and read the facts from where they are kept. After a reconnect every listener gets an empty
    hint, because it may have missed something.
    """

    def __init__(self, connections: RedisConnections) -> None:
        self._connections = connections
        self._listeners: dict[str, set[asyncio.Queue[dict[str, Any]]]] = {}
        self._hearing: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()

    async def notify(self, channel: str, hint: Mapping[str, Any]) -> None:
        """Say `hint` (small, JSON) on a channel. One round trip; a failure of Redis is logged, not raised."""
        try:
            await self._connections.commands.publish(channel, json.dumps(hint))
        except RedisError as error:
            log.info("live_hint_lost", extra={"error": type(error).__name__})

    async def listen(self, channel: str) -> AsyncGenerator[dict[str, Any], None]:
        """The hints of a channel from now on, for ever; through outages too.

        Who listens too slowly loses the oldest hints beyond 100. Close the iterator (`aclosing`) to leave.
        """
        queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue(_WAITING_HINTS)
        self._listeners.setdefault(channel, set()).add(queue)
        self._changed.set()
        if self._hearing is None:
            self._hearing = asyncio.create_task(self._hear(), name="live-channels")
        try:
            while True:
                yield await queue.get()
        finally:
            self._listeners[channel].discard(queue)
            if not self._listeners[channel]:
                del self._listeners[channel]
            self._changed.set()
            if not self._listeners:
                await self.aclose()

    async def aclose(self) -> None:
        """Stop hearing. The last listener to leave does it too."""
        hearing, self._hearing = self._hearing, None
        if hearing is not None:
            hearing.cancel()
            await asyncio.gather(hearing, return_exceptions=True)

    async def _hear(self) -> None:
        backoff = Backoff(0.1, 1.0)
        failed = 0
        while True:
            try:
                async with self._connections.blocking(_POLL).pubsub() as pubsub:
                    await self._relay(pubsub, again=failed > 0)
            except (RedisError, OSError, TimeoutError) as error:
                failed += 1
                log.info("live_channels_down", extra={"error": type(error).__name__})
                await asyncio.sleep(backoff.delay(failed))

    async def _relay(self, pubsub: PubSub, *, again: bool) -> None:
        subscribed: set[str] = set()
        while True:
            self._changed.clear()
            wanted = set(self._listeners)
            if new := wanted - subscribed:
                await pubsub.subscribe(*new)
            if old := subscribed - wanted:
                await pubsub.unsubscribe(*old)
            subscribed = wanted
            if again:
                again = False
                for channel in wanted:
                    self._tell(channel, {})
            while not self._changed.is_set():
                message = await pubsub.get_message(ignore_subscribe_messages=True, timeout=_POLL)
                if message is not None:
                    self._tell(message["channel"].decode(), _parse(message["data"]))

    def _tell(self, channel: str, hint: dict[str, Any]) -> None:
        for queue in self._listeners.get(channel, ()):
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(hint)


def _parse(text: bytes) -> dict[str, Any]:
    # A hint that cannot be read still says that something happened.
    try:
        hint = json.loads(text)
    except ValueError:
        return {}
    return hint if isinstance(hint, dict) else {}
