"""Reading the menu: the whole of it through the cache, one pizza from the database."""

from dataclasses import dataclass

from pizzeria_chassis.database import Database
from pizzeria_contracts.menu import ToppingPrice
from pizzeria_contracts.money import Money
from pydantic import BaseModel
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from menu_service import pizzas
from menu_service.cache import MenuCache
from menu_service.pizzas import Item, Pizza
from menu_service.tables import toppings


class MenuAnswer(BaseModel):
    """The menu: what there is, in no pages, and what a topping costs."""

    items: tuple[Item, ...]
    next: str | None = None
    toppings: tuple[ToppingPrice, ...]


@dataclass(frozen=True)
class Reader:
    """Queries. All raise DatabaseUnavailable when the database is needed and away."""

    database: Database
    cache: MenuCache

    async def menu(self) -> bytes:
        """The menu as JSON: the copy in Redis, else three statements in SQL and a new copy."""
        return await self.cache.get() or await self.refresh()

    async def refresh(self) -> bytes:
        """Read the menu from the database and make that the copy."""
        async with self.database.read() as session:
            # The revision first: what is read after it is at least as new as it says.
            revision = await pizzas.revision(session)
            answer = await _answer(session)
        body = answer.model_dump_json().encode()
        await self.cache.put(revision, body)
        return body

    async def pizza(self, pizza_id: str) -> Pizza | None:
        """The pizza as it is at this moment, fit to be changed. One statement."""
        async with self.database.read() as session:
            found = await pizzas.load(session, pizza_id)
        return found if found is not None and not found.removed else None


async def _answer(session: AsyncSession) -> MenuAnswer:
    items = [pizza.item() for pizza in await pizzas.load_all(session)]
    prices = await session.execute(select(toppings).order_by(toppings.c.id))
    return MenuAnswer(
        items=tuple(items),
        toppings=tuple(ToppingPrice(id=row.id, price=Money.of(row.price)) for row in prices),
    )
