"""Pizzas as rows, and the one lock that orders all changes of the menu."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, get_args

from pizzeria_contracts.menu import MenuItem
from pizzeria_contracts.money import Money
from pizzeria_contracts.payloads import Size
from sqlalchemy import RowMapping, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from menu_service.tables import menu, pizzas, stock

SIZES: tuple[Size, ...] = get_args(Size)


class Item(MenuItem):
    """A pizza as the menu answers it.

    ``available`` means: offered by staff and no ingredient low. ``short_of`` names those that are; it is
    news from the kitchen, not part of what ``version`` counts.
    """

    short_of: tuple[str, ...] = ()


@dataclass(frozen=True)
class Pizza:
    """The facts about one pizza. ``offered`` is what staff want; ``short_of`` is what the kitchen lacks."""

    id: str
    name: str = ""
    description: str = ""
    offered: bool = True
    prices: Mapping[Size, Decimal] = field(default_factory=dict)
    toppings: tuple[str, ...] = ()
    ingredients: tuple[str, ...] = ()
    preparation_seconds: int = 0
    short_of: tuple[str, ...] = ()
    version: int = 0
    removed: bool = False

    @property
    def available(self) -> bool:
        return self.offered and not self.short_of and not self.removed

    def item(self) -> Item:
        return Item(
            id=self.id,
            name=self.name,
            description=self.description,
            available=self.available,
            prices={size: Money.of(price) for size, price in self.prices.items()},
            toppings=self.toppings,
            ingredients=self.ingredients,
            preparation_seconds=self.preparation_seconds,
            version=self.version,
            short_of=self.short_of,
        )


async def lock_menu(connection: AsyncConnection) -> int:
    """Wait until no other change of the menu is under way; returns the revision that this change makes.

    First statement of every transaction that changes the menu. One statement.
    """
    changed = await connection.execute(
        update(menu).values(revision=menu.c.revision + 1).returning(menu.c.revision)
    )
    number: int = changed.scalar_one()
    return number


async def revision(connection: AsyncConnection) -> int:
    """The number of the last change; 0 before the first. One statement."""
    number: int = (await connection.execute(select(menu.c.revision))).scalar_one()
    return number


async def load(connection: AsyncConnection, pizza_id: str) -> Pizza | None:
    """The pizza, a removed one too. One statement."""
    row = (await connection.execute(select(pizzas).where(pizzas.c.id == pizza_id))).mappings().one_or_none()
    return _pizza(row) if row is not None else None


async def load_all(connection: AsyncConnection) -> list[Pizza]:
    """Every pizza that is not removed, by id. One statement."""
    rows = await connection.execute(select(pizzas).where(~pizzas.c.removed).order_by(pizzas.c.id))
    return [_pizza(row) for row in rows.mappings()]


async def save(connection: AsyncConnection, pizza: Pizza, *, new: bool) -> None:
    """Write the row. One statement."""
    values = _row(pizza)
    if new:
        await connection.execute(insert(pizzas).values(values))
    else:
        await connection.execute(update(pizzas).where(pizzas.c.id == pizza.id).values(values))


async def low_among(connection: AsyncConnection, ingredients: tuple[str, ...]) -> tuple[str, ...]:
    """Which of these ingredients are low, in their order. One statement."""
    rows = await connection.execute(
        select(stock.c.ingredient).where(stock.c.low, stock.c.ingredient.in_(ingredients))
    )
    low = set(rows.scalars())
    return tuple(ingredient for ingredient in ingredients if ingredient in low)


def _pizza(row: RowMapping) -> Pizza:
    return Pizza(
        id=row["id"],
        name=row["name"],
        description=row["description"],
        offered=row["offered"],
        prices={size: row[size] for size in SIZES},
        toppings=tuple(row["toppings"]),
        ingredients=tuple(row["ingredients"]),
        preparation_seconds=row["preparation_seconds"],
        short_of=tuple(row["short_of"]),
        version=row["version"],
        removed=row["removed"],
    )


def _row(pizza: Pizza) -> dict[str, Any]:
    return {
        "id": pizza.id,
        "name": pizza.name,
        "description": pizza.description,
        "offered": pizza.offered,
        **{size: pizza.prices[size] for size in SIZES},
        "toppings": list(pizza.toppings),
        "ingredients": list(pizza.ingredients),
        "preparation_seconds": pizza.preparation_seconds,
        "short_of": list(pizza.short_of),
        "version": pizza.version,
        "removed": pizza.removed,
    }
