"""Messages and hints over pub/sub: nothing may depend on their arrival."""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from rediscore.client import RedisConnections
from rediscore.pubsub.hub import Hub
from rediscore.pubsub.inbox import Inbox, Missed

log = logging.getLogger(__name__)


class LiveChannels:
    """Sending to whoever listens at the moment, and listening.

    Pub/sub keeps nothing: who is not connected misses what is said. So use it only where a miss costs
    freshness, and read the facts from where they are kept. After a reconnect every listener is told that
    it may have missed something.

    All objects on one `RedisConnections` share one connection for listening, which is open while somebody
    listens; a silently dead one is noticed within four seconds. On a cluster a message reaches listeners
    at every node.
    """

    def __init__(self, connections: RedisConnections) -> None:
        self._connections = connections
        self._inboxes: dict[Inbox, Hub] = {}

    async def publish(self, channel: str, message: bytes | str) -> None:
        """Say it once. One round trip.

        Raises: redis-py's ConnectionError or TimeoutError; listeners may have heard it all the same.
        """
        await self._connections.execute("PUBLISH", channel, message)

    async def notify(self, channel: str, hint: Mapping[str, Any]) -> None:
        """Say `hint` (small, JSON) on a channel. One round trip; a failure of Redis is logged, not raised."""
        try:
            await self.publish(channel, json.dumps(hint))
        except (RedisError, OSError) as error:
            log.info("live_hint_lost", extra={"error": type(error).__name__})

    async def listen(self, channel: str) -> AsyncGenerator[dict[str, Any], None]:
        """The hints of a channel from about now on, for ever; through outages too.

        An empty hint says that some may have been missed: after an outage, and when this listener let
        more than 100 wait. Close the iterator (`aclosing`) to leave.
        """
        async with self._inbox(channel, patient=False) as (inbox, _):
            async for message in inbox:
                yield {} if isinstance(message, Missed) else _parse(message)

    @asynccontextmanager
    async def subscription(
        self, channel: str, *, timeout: timedelta = timedelta(seconds=5)
    ) -> AsyncIterator[AsyncIterator[bytes | Missed]]:
        """`async with channels.subscription("x") as messages: async for message in messages: ...`

        Entered once the server has confirmed: every message said from then on is heard, or `MISSED`
        stands in its place (an outage; more than 100 unread). So subscribe, read the facts, then follow
        the messages, and read the facts again at each `MISSED`. One round trip to enter, none when
        somebody on the same connections already listens to the channel.

        Raises: redis-py's ConnectionError when there is no confirmation within `timeout`.
        """
        async with self._inbox(channel, patient=True) as (inbox, hub):
            try:
                async with asyncio.timeout(timeout.total_seconds()):
                    await inbox.confirmed.wait()
            except TimeoutError:
                raise RedisConnectionError(f"No subscription to {channel}: {hub.trouble}.") from hub.trouble
            yield inbox

    async def aclose(self) -> None:
        """End every listening that began on this object; their iterations end."""
        for inbox, hub in list(self._inboxes.items()):
            inbox.close()
            await hub.leave(inbox)

    @asynccontextmanager
    async def _inbox(self, channel: str, *, patient: bool) -> AsyncIterator[tuple[Inbox, Hub]]:
        inbox = Inbox(channel.encode(), patient=patient)
        hub = self._inboxes[inbox] = Hub.join(self._connections, inbox)
        try:
            yield inbox, hub
        finally:
            del self._inboxes[inbox]
            await hub.leave(inbox)


def _parse(text: bytes) -> dict[str, Any]:
    # A hint that cannot be read still says that something happened.
    try:
        hint = json.loads(text)
    except ValueError:
        return {}
    return hint if isinstance(hint, dict) else {}
