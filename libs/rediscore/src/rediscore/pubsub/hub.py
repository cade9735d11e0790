"""The one connection on which a process hears all its channels."""

import asyncio
import logging
import random
from collections import Counter
from typing import Any, Final

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from rediscore.client import RedisConnections
from rediscore.pubsub.inbox import Inbox
from rediscore.retry import Backoff
from rediscore.transport import Endpoint, ServerConnection

log = logging.getLogger(__name__)

SILENCE: Final = 1.0
"""Seconds without a word from the server after which it is asked whether it is there."""

_UNANSWERED: Final = 2
"""So many such seconds in a row without an answer end the connection."""

_hubs: dict[RedisConnections, "Hub"] = {}
"""A hub is here only as long as somebody listens."""


class Hub:
    """Hears every channel that has an inbox, through outages; there is one per `RedisConnections`.

    A connection on which a question stays unanswered for two seconds is given up. After each new one
    every inbox gets `MISSED`, once the server has confirmed its channel again.
    """

    def __init__(self, connections: RedisConnections) -> None:
        self._connections = connections
        self._inboxes: dict[bytes, set[Inbox]] = {}
        self._changed = asyncio.Event()
        self._confirmed: set[bytes] = set()
        self._task: asyncio.Task[None] | None = None
        self.trouble: BaseException | None = None
        """Why there is no connection; None when there is one."""

    @staticmethod
    def join(connections: RedisConnections, inbox: Inbox) -> "Hub":
        """Have the inbox filled from as soon as the server confirms; no I/O in the caller's task."""
        hub = _hubs.get(connections)
        if hub is None:
            hub = _hubs[connections] = Hub(connections)
            hub._task = asyncio.create_task(hub._run(), name="live-channels")
        hub._inboxes.setdefault(inbox.channel, set()).add(inbox)
        if inbox.channel in hub._confirmed:
            inbox.confirm()
        else:
            if hub.trouble is not None:
                inbox.interrupt()
            hub._changed.set()
        return hub

    async def leave(self, inbox: Inbox) -> None:
        """Fill it no more. The last to leave ends the connection."""
        others = self._inboxes.get(inbox.channel, set())
        others.discard(inbox)
        if not others:
            self._inboxes.pop(inbox.channel, None)
            self._changed.set()
        if not self._inboxes and self._task is not None:
            task, self._task = self._task, None
            del _hubs[self._connections]
            task.cancel()
            await asyncio.wait({task})

    async def _run(self) -> None:
        backoff = Backoff(0.05, 1.0)
        failed = 0
        while True:
            try:
                # On a cluster every node hears every message.
                endpoint = random.choice(await self._connections.endpoints())  # noqa: S311
                connection = endpoint.connection()
                try:
                    await connection.connect()
                    await self._serve(connection, endpoint)
                finally:
                    await connection.disconnect(nowait=True)
            except* (RedisError, OSError) as errors:
                failed = 1 if self.trouble is None else failed + 1
                self.trouble = errors.exceptions[0]
                log.info("live_channels_down", extra={"error": type(self.trouble).__name__})
            self._confirmed.clear()
            for inboxes in self._inboxes.values():
                for inbox in inboxes:
                    inbox.interrupt()
            await asyncio.sleep(backoff.delay(failed))

    async def _serve(self, connection: ServerConnection, endpoint: Endpoint) -> None:
        # Confirmations that are still to come: of several for one channel only the last one counts.
        expected: Counter[bytes] = Counter()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._subscribe(connection, expected))
            group.create_task(self._hear(connection, endpoint, expected))

    async def _subscribe(self, connection: ServerConnection, expected: Counter[bytes]) -> None:
        """Tell the server at once which channels have got their first inbox or lost their last."""
        told: set[bytes] = set()
        while True:
            self._changed.clear()
            wanted = set(self._inboxes)
            for command, channels in (("SUBSCRIBE", wanted - told), ("UNSUBSCRIBE", told - wanted)):
                if channels:
                    expected.update(channels)
                    self._confirmed -= channels
                    await _send(connection, command, *channels)
            told = wanted
            await self._changed.wait()

    async def _hear(self, connection: ServerConnection, endpoint: Endpoint, expected: Counter[bytes]) -> None:
        silent = 0
        while True:
            reply = await connection.read_response(
                timeout=SILENCE, disconnect_on_error=False, push_request=True
            )
            if reply is None:
                silent += 1
                if silent > _UNANSWERED or endpoint.moved(connection):
                    raise RedisConnectionError("The server does not answer, or is the primary no more.")
                await _send(connection, "PING")
                continue
            silent = 0
            self.trouble = None
            if isinstance(reply, list):
                self._heard(reply, expected)

    def _heard(self, reply: list[Any], expected: Counter[bytes]) -> None:
        kind, channel, content = reply
        if kind == b"message":
            for inbox in self._inboxes.get(channel, ()):
                inbox.put(content)
            return
        expected[channel] -= 1
        if kind == b"subscribe" and expected[channel] == 0:
            self._confirmed.add(channel)
            for inbox in self._inboxes.get(channel, ()):
                inbox.confirm()


async def _send(connection: ServerConnection, *command: str | bytes) -> None:
    # Sending on a lost connection would open it again, without its subscriptions.
    if not connection.is_connected:
        raise RedisConnectionError("The connection was lost.")
    await connection.send_command(*command, check_health=False)
