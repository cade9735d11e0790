"""Messages of one type on one channel."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

from pydantic import TypeAdapter, ValidationError

from rediscore.metrics import Metrics, meter_of
from rediscore.pubsub.channels import LiveChannels
from rediscore.pubsub.inbox import Missed

T = TypeVar("T")


class Topic(Generic[T]):
    """Typed messages, as JSON, for whoever listens at the moment.

    A message that does not fit the type is counted (`unreadable`) and skipped: one old sender must not
    stop every listener.

    Args:
        name: of the channel.
        model: a pydantic model, a dataclass, or any other type that pydantic reads and writes.
    """

    def __init__(
        self, channels: LiveChannels, name: str, model: type[T], *, metrics: Metrics | None = None
    ) -> None:
        self.name = name
        self._channels = channels
        self._adapter = TypeAdapter(model)
        self._meter = meter_of(metrics, "pubsub", name)

    async def publish(self, message: T) -> None:
        """See `LiveChannels.publish`."""
        await self._channels.publish(self.name, self._adapter.dump_json(message))
        self._meter.counts["published"] += 1

    async def listen(self) -> AsyncGenerator[T | Missed, None]:
        """As `subscription`, entered with the first step of the iteration. Close it (`aclosing`) to leave."""
        async with self.subscription() as messages:
            async for message in messages:
                yield message

    @asynccontextmanager
    async def subscription(self) -> AsyncIterator[AsyncIterator[T | Missed]]:
        """The messages from the confirmation on; `MISSED` where some may be missing.

        See `LiveChannels.subscription`.
        """
        async with self._channels.subscription(self.name) as messages:
            yield self._read(messages)

    async def _read(self, messages: AsyncIterator[bytes | Missed]) -> AsyncGenerator[T | Missed, None]:
        async for message in messages:
            if isinstance(message, Missed):
                self._meter.counts["missed"] += 1
                yield message
                continue
            try:
                read = self._adapter.validate_json(message)
            except ValidationError:
                self._meter.counts["unreadable"] += 1
                continue
            self._meter.counts["received"] += 1
            yield read
