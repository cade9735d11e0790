"""The kitchen's stock decides with staff what can be ordered: a low ingredient withdraws its pizzas."""

from dataclasses import replace

from pizzeria_chassis.consumer import EventConsumer
from pizzeria_chassis.transaction import Transaction
from pizzeria_contracts.events import StockLow, StockRestored
from rediscore.streams import CloudEvent
from sqlalchemy import insert, select, update

from menu_service import pizzas
from menu_service.announce import Announcer
from menu_service.changes import record
from menu_service.tables import stock


def subscribe(kitchen: EventConsumer, announce: Announcer) -> None:
    """Handle what the kitchen tells about its stock, and nothing else of it."""

    @kitchen.on(StockLow)
    async def withdraw(tx: Transaction, event: CloudEvent[StockLow]) -> None:
        announce(tx)
        await note(tx, event.data.ingredient, event.sequence or 0, low=True)

    @kitchen.on(StockRestored)
    async def bring_back(tx: Transaction, event: CloudEvent[StockRestored]) -> None:
        announce(tx)
        await note(tx, event.data.ingredient, event.sequence or 0, low=False)

    kitchen.ignore_rest()


async def note(tx: Transaction, ingredient: str, sequence: int, *, low: bool) -> None:
    """Note that an ingredient is low or no longer so, and withdraw or bring back the pizzas made with it.

    A pizza comes back when nothing else of it is low and staff offer it. `sequence` is that of the event
    among those about this ingredient; what is older than the newest known changes nothing.
    """
    await pizzas.lock_menu(tx.connection)
    if not await _is_news(tx, ingredient, sequence, low=low):
        return
    for before in await pizzas.load_all(tx.connection):
        if ingredient not in before.ingredients:
            continue
        after = replace(before, short_of=await pizzas.low_among(tx.connection, before.ingredients))
        if after.available != before.available:
            await record(tx, before, after, reason="stock")
        elif after != before:
            # Nobody who orders sees a difference: no version, no event.
            await pizzas.save(tx.connection, after, new=False)


async def _is_news(tx: Transaction, ingredient: str, sequence: int, *, low: bool) -> bool:
    # A dead letter may be redriven after a newer event of its ingredient: it says nothing any more.
    query = select(stock.c.sequence).where(stock.c.ingredient == ingredient)
    known = (await tx.connection.execute(query)).scalar_one_or_none()
    values = {"ingredient": ingredient, "low": low, "sequence": sequence}
    if known is None:
        await tx.connection.execute(insert(stock).values(values))
    elif sequence > known:
        await tx.connection.execute(update(stock).where(stock.c.ingredient == ingredient).values(values))
    return known is None or sequence > known
