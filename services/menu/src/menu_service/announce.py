"""After a change: no old copy in Redis, and a hint to whoever shows the menu."""

import asyncio
from dataclasses import dataclass
from typing import Final

import structlog
from pizzeria_chassis.transaction import Transaction
from pizzeria_contracts.channels import MENU_INVALIDATE
from rediscore.pubsub import LiveChannels

from menu_service.cache import MenuCopy

_log = structlog.get_logger(__name__)

HINT_SECONDS: Final = 0.5


@dataclass(frozen=True)
class Announcer:
    """Call it in a transaction that changes the menu."""

    copy: MenuCopy
    live: LiveChannels

    def __call__(self, tx: Transaction) -> None:
        """Once ``tx`` is committed, forget the copy, then say that there is news."""
        tx.after_commit(self._announce)

    async def _announce(self) -> None:
        await self.copy.forget()
        # Whoever made the change waits for this: a Redis that hangs may cost a moment, not seconds.
        try:
            async with asyncio.timeout(HINT_SECONDS):
                await self.live.notify(MENU_INVALIDATE, {})
        except TimeoutError:
            _log.info("menu_hint_lost")
