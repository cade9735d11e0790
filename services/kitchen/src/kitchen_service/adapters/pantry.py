"""The stock, its ledger, and what the menu says about recipes, in SQL."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, bindparam, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from kitchen_service.adapters.tables import ledger, recipes, stock
from kitchen_service.domain.stock import Movement, MovementKind, Stock

# Built once: building a statement costs more than running it.
_LOCK = (
    select(stock)
    .where(stock.c.ingredient.in_(bindparam("wanted", expanding=True)))
    .order_by(stock.c.ingredient)  # everybody locks in the same order
    .with_for_update()
)
_SAVE = (
    update(stock)
    .where(stock.c.ingredient == bindparam("key"))
    .values({name: bindparam(name) for name in ("restocked", "in_stock", "reserved", "consumed")})
)
_RECIPES = select(recipes.c.pizza_id, recipes.c.ingredients).where(
    recipes.c.pizza_id.in_(bindparam("wanted", expanding=True))
)


class SqlPantry:
    def __init__(self, connection: AsyncConnection, now: datetime) -> None:
        self._connection = connection
        self._now = now

    async def lock(self, ingredients: Collection[str]) -> dict[str, Stock]:
        rows = await self._connection.execute(_LOCK, {"wanted": list(ingredients)})
        return {row.ingredient: stock_from(row) for row in rows}

    async def save(self, stocks: Iterable[Stock], movements: Sequence[Movement]) -> None:
        changes = [
            {
                "key": s.ingredient,
                "restocked": s.restocked,
                "in_stock": s.in_stock,
                "reserved": s.reserved,
                "consumed": s.consumed,
            }
            for s in stocks
        ]
        if not changes:
            return
        await self._connection.execute(_SAVE, changes)
        lines = [
            {
                "ingredient": m.ingredient,
                "kind": m.kind.value,
                "quantity": m.quantity,
                "reference": m.reference,
                "at": self._now,
            }
            for m in movements
        ]
        await self._connection.execute(insert(ledger), lines)

    async def keep(self, ingredients: Collection[str]) -> list[str]:
        query = select(stock.c.ingredient).where(stock.c.ingredient.in_(ingredients))
        known = set((await self._connection.execute(query)).scalars())
        new = sorted(set(ingredients) - known)
        if new:
            nothing = dict.fromkeys(("initial", "restocked", "in_stock", "reserved", "consumed"), 0)
            rows = [{"ingredient": name, "low_below": 1, **nothing} for name in new]
            await self._connection.execute(insert(stock), rows)
        return new

    async def restocked_as(self, reference: str) -> Movement | None:
        query = select(ledger).where(ledger.c.kind == MovementKind.RESTOCK, ledger.c.reference == reference)
        row = (await self._connection.execute(query.limit(1))).one_or_none()
        if row is None:
            return None
        return Movement(
            ingredient=row.ingredient,
            kind=MovementKind.RESTOCK,
            quantity=row.quantity,
            reference=row.reference,
        )


class SqlRecipes:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def ingredients(self, pizza_ids: Collection[str]) -> Mapping[str, Sequence[str]]:
        rows = await self._connection.execute(_RECIPES, {"wanted": list(pizza_ids)})
        return {row.pizza_id: row.ingredients for row in rows}

    async def learn(self, pizza_id: str, version: int, ingredients: Sequence[str]) -> bool:
        query = select(recipes.c.version).where(recipes.c.pizza_id == pizza_id).with_for_update()
        known = (await self._connection.execute(query)).scalar_one_or_none()
        if known is not None and known >= version:
            return False
        values = {"version": version, "ingredients": list(ingredients)}
        if known is None:
            await self._connection.execute(insert(recipes).values(pizza_id=pizza_id, **values))
        else:
            await self._connection.execute(
                update(recipes).where(recipes.c.pizza_id == pizza_id).values(values)
            )
        return True


def stock_from(row: Row[Any]) -> Stock:
    return Stock(
        ingredient=row.ingredient,
        initial=row.initial,
        restocked=row.restocked,
        in_stock=row.in_stock,
        reserved=row.reserved,
        consumed=row.consumed,
        low_below=row.low_below,
    )
