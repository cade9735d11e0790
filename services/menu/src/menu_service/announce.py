"""After a change: a new copy in Redis, and a hint to whoever shows the menu."""

from dataclasses import dataclass

from pizzeria_chassis.transaction import Transaction
from pizzeria_contracts.channels import MENU_INVALIDATE
from rediscore.streams import LiveChannels

from menu_service.reading import Reader


@dataclass(frozen=True)
class Announcer:
    """Call it in a transaction that changes the menu."""

    reader: Reader
    live: LiveChannels

    def __call__(self, tx: Transaction) -> None:
        """Once ``tx`` is committed, renew the copy, then say that it is new."""
        tx.after_commit(self._announce)

    async def _announce(self) -> None:
        await self.reader.refresh()
        await self.live.notify(MENU_INVALIDATE, {})
