"""Hears that the menu was edited, so that the next order asks for it again."""

from collections.abc import Callable

from pizzeria_contracts.channels import MENU_INVALIDATE
from rediscore.pubsub import LiveChannels


async def hear_of_edits(channels: LiveChannels, edited: Callable[[], None]) -> None:
    """Call `edited` at every hint, and after each outage of Redis, because one may have been missed.

    Never returns.
    """
    async for _ in channels.listen(MENU_INVALIDATE):
        edited()
