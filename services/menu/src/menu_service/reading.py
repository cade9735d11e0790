"""Reading the menu: the whole of it through the cache, one pizza from the database."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from pizzeria_chassis.database import Database
from pizzeria_contracts.menu import ToppingPrice
from pizzeria_contracts.money import Money
from pydantic import BaseModel
from rediscore.cache import Cache
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from menu_service import pizzas
from menu_service.pizzas import Item, Pizza
from menu_service.tables import toppings

MENU: Final = "menu"
"""Key of the whole menu in the cache."""


class MenuAnswer(BaseModel):
    """The menu: what there is, in no pages, and what a topping costs."""

    items: tuple[Item, ...]
    next: str | None = None
    toppings: tuple[ToppingPrice, ...]


@dataclass(frozen=True)
class Reader:
    """Queries. All raise DatabaseUnavailable when the database is needed and away."""

    database: Database
    cache: Cache[MenuAnswer]
    outdated: Callable[[], bool]
    """Whether the copy is known to be old."""

    async def menu(self) -> MenuAnswer:
        """The menu: the copy in Redis, else two statements in SQL and a new copy."""
        if self.outdated():
            return await self._read()
        return await self.cache.remember(MENU, self._read)

    async def _read(self) -> MenuAnswer:
        async with self.database.read() as connection:
            return await _answer(connection)

    async def pizza(self, pizza_id: str) -> Pizza | None:
        """The pizza as it is at this moment, fit to be changed. One statement."""
        async with self.database.read() as connection:
            found = await pizzas.load(connection, pizza_id)
        return found if found is not None and not found.removed else None


async def _answer(connection: AsyncConnection) -> MenuAnswer:
    items = [pizza.item() for pizza in await pizzas.load_all(connection)]
    prices = await connection.execute(select(toppings).order_by(toppings.c.id))
    return MenuAnswer(
        items=tuple(items),
        toppings=tuple(ToppingPrice(id=row.id, price=Money.of(row.price)) for row in prices),
    )
