"""Moving ingredients: the only place that changes the stock."""

from collections.abc import Mapping

from pizzeria_contracts.events import StockLow, StockRestored

from kitchen_service.domain.errors import OutOfStock
from kitchen_service.domain.stock import Movement, MovementKind, Stock, short_of, total
from kitchen_service.use_cases.ports import Books

Causes = Mapping[str, Mapping[str, int]]
"""Portions per ingredient, for each cause (an order, tickets, a request)."""


async def move_stock(books: Books, kind: MovementKind, causes: Causes) -> dict[str, Stock]:
    """Move everything or nothing, write the ledger, tell when an ingredient becomes low or is back.

    Call it once per transaction: it locks all rows in the order of their names, and a second call
    could meet somebody who holds what it wants. The ledger refuses the same kind twice for one cause.

    Returns: the stocks after the movement.
    Raises: OutOfStock with every ingredient that is short, before anything is written.
    """
    portions = total(causes.values())
    stocks = await books.pantry.lock(portions)
    if kind is MovementKind.RESERVE and (short := short_of(portions, stocks)):
        raise OutOfStock(short)
    moved = {name: stocks[name].move(kind, quantity) for name, quantity in portions.items()}
    await books.pantry.save(
        moved.values(),
        [
            Movement(ingredient=name, kind=kind, quantity=quantity, reference=cause)
            for cause, needed in causes.items()
            for name, quantity in needed.items()
        ],
    )
    for name, after in sorted(moved.items()):
        if after.low and not stocks[name].low:
            await books.publish(StockLow(ingredient=name), subject=name)
        elif stocks[name].low and not after.low:
            await books.publish(StockRestored(ingredient=name), subject=name)
    return moved
