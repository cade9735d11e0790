"""After a change: a new copy in Redis, and a hint to whoever shows the menu."""

from pizzeria_chassis.transaction import Transaction
from pizzeria_contracts.channels import MENU_INVALIDATE
from rediscore.streams.live import LiveChannels

from menu_service.reading import Reader


def announce(tx: Transaction, reader: Reader, live: LiveChannels) -> None:
    """Once the transaction is committed, renew the copy, then say that it is new."""

    async def hook() -> None:
        await reader.refresh()
        await live.notify(MENU_INVALIDATE, {})

    tx.after_commit(hook)
