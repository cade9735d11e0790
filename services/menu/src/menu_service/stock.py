"""The kitchen's stock decides with staff what can be ordered: a low ingredient withdraws its pizzas."""

from dataclasses import replace

from pizzeria_chassis.transaction import Transaction
from pizzeria_contracts.events import StockLow, StockRestored
from rediscore.streams import CloudEvent
from sqlalchemy import insert, select, update

from menu_service import pizzas
from menu_service.changes import record
from menu_service.tables import stock


async def on_stock_low(tx: Transaction, event: CloudEvent[StockLow]) -> None:
    """Withdraw every pizza that needs the ingredient."""
    await _note(tx, event, low=True)


async def on_stock_restored(tx: Transaction, event: CloudEvent[StockRestored]) -> None:
    """Bring back every pizza that lacked this ingredient alone and that staff offer."""
    await _note(tx, event, low=False)


async def _note(
    tx: Transaction, event: CloudEvent[StockLow] | CloudEvent[StockRestored], *, low: bool
) -> None:
    await pizzas.lock_menu(tx.session)
    ingredient = event.data.ingredient
    if not await _is_news(tx, ingredient, event.sequence or 0, low=low):
        return
    for before in await pizzas.load_all(tx.session):
        if ingredient not in before.ingredients:
            continue
        after = replace(before, short_of=await pizzas.low_among(tx.session, before.ingredients))
        if after.available != before.available:
            await record(tx, before, after, reason="stock")
        elif after != before:
            # Nobody who orders sees a difference: no version, no event.
            await pizzas.save(tx.session, after, new=False)


async def _is_news(tx: Transaction, ingredient: str, sequence: int, *, low: bool) -> bool:
    # A dead letter may be redriven after a newer event of its ingredient: it says nothing any more.
    known = (
        await tx.session.execute(select(stock.c.sequence).where(stock.c.ingredient == ingredient))
    ).scalar_one_or_none()
    values = {"ingredient": ingredient, "low": low, "sequence": sequence}
    if known is None:
        await tx.session.execute(insert(stock).values(values))
        return True
    if sequence <= known:
        return False
    await tx.session.execute(update(stock).where(stock.c.ingredient == ingredient).values(values))
    return True
