"""Hears that the menu was edited, so that the next order asks for it again."""

import asyncio
from collections.abc import Callable, Mapping

from pizzeria_chassis.health import Check
from pizzeria_contracts.channels import MENU_INVALIDATE
from rediscore.pubsub import LiveChannels


class MenuHints:
    """Calls `edited` at every hint, and after each outage of Redis, because one may have been missed."""

    def __init__(self, channels: LiveChannels, edited: Callable[[], None]) -> None:
        self._channels = channels
        self._edited = edited
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.create_task(self._listen(), name="menu-hints")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def checks(self) -> Mapping[str, Check]:
        return {}

    async def _listen(self) -> None:
        async for _ in self._channels.listen(MENU_INVALIDATE):
            self._edited()
