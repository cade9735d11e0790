"""Waiting for the value that another process computes."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Final, Self

from redis.exceptions import RedisError

from rediscore.pubsub import LiveChannels

_ENTER: Final = timedelta(milliseconds=250)
_RECHECK: Final = 0.5
_UNHEARD: Final = 0.05
_AFTER: Final = 0.01


class FillWatch:
    """Hears that the computation of a key has ended. Look at the key between entering and the first wait.

    The word may be lost: `wait` ends after half a second at the latest, or when the lease it waits for
    is over. Without a subscription it is a pause of 50 ms.
    """

    def __init__(self, channels: LiveChannels, channel: str) -> None:
        self._channels = channels
        self._channel = channel
        self._stack = AsyncExitStack()
        self._messages: AsyncIterator[object] | None = None

    async def __aenter__(self) -> Self:
        with contextlib.suppress(RedisError, OSError):
            subscription = self._channels.subscription(self._channel, timeout=_ENTER)
            self._messages = await self._stack.enter_async_context(subscription)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def wait(self, lease_left: float) -> None:
        """Return when told, or after a while. No round trip."""
        longest = min(max(lease_left, 0.0) + _AFTER, _RECHECK)
        if self._messages is None:
            await asyncio.sleep(min(longest, _UNHEARD))
            return
        with contextlib.suppress(TimeoutError, StopAsyncIteration):
            async with asyncio.timeout(longest):
                await anext(self._messages)
