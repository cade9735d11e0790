"""The menu of the first day. Written once, by the first start on an empty database."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from pizzeria_chassis.transaction import Transaction
from pizzeria_contracts.money import round_cents
from pizzeria_contracts.payloads import Size
from sqlalchemy import insert

from menu_service import pizzas
from menu_service.changes import record
from menu_service.pizzas import SIZES, Pizza
from menu_service.tables import toppings

SIZE_FACTORS: Mapping[Size, Decimal] = {
    "small": Decimal("0.8"),
    "medium": Decimal(1),
    "large": Decimal("1.3"),
}
TOPPING_PRICE = Decimal("1.50")
TOPPINGS = (
    "olives", "mushrooms", "onions", "peppers", "mozzarella",
    "ham", "bacon", "jalapenos", "pineapple", "basil",
)  # fmt: skip


@dataclass(frozen=True)
class SeedPizza:
    id: str
    name: str
    description: str
    medium: Decimal
    ingredients: tuple[str, ...]
    preparation_seconds: int


PIZZAS = (
    SeedPizza(
        "margherita", "Margherita", "Tomato sauce, mozzarella and fresh basil.", Decimal("12.99"),
        ("dough", "tomato-sauce", "mozzarella", "basil"), 420,
    ),
    SeedPizza(
        "pepperoni", "Pepperoni", "Tomato sauce, mozzarella, much pepperoni.", Decimal("14.99"),
        ("dough", "tomato-sauce", "mozzarella", "pepperoni"), 480,
    ),
    SeedPizza(
        "vegetarian", "Vegetarian", "Peppers, mushrooms, onions, olives.", Decimal("13.99"),
        ("dough", "tomato-sauce", "mozzarella", "peppers", "mushrooms", "onions", "olives"), 540,
    ),
    SeedPizza(
        "hawaiian", "Hawaiian", "Ham and pineapple on tomato sauce.", Decimal("14.99"),
        ("dough", "tomato-sauce", "mozzarella", "ham", "pineapple"), 480,
    ),
    SeedPizza(
        "bbq-chicken", "BBQ Chicken", "Chicken and onions on barbecue sauce.", Decimal("15.99"),
        ("dough", "bbq-sauce", "mozzarella", "chicken", "onions"), 600,
    ),
    SeedPizza(
        "meat-lovers", "Meat Lovers", "Pepperoni, ham, bacon and sausage on tomato sauce.", Decimal("16.99"),
        ("dough", "tomato-sauce", "mozzarella", "pepperoni", "ham", "bacon", "sausage"), 660,
    ),
)  # fmt: skip


async def seed(tx: Transaction) -> bool:
    """Write the first menu, with its events, if nothing has ever been written; False when there is something.

    Replicas that start together wait for each other at the menu's lock: one seeds.
    """
    if await pizzas.revision(tx.connection) > 0 or await pizzas.lock_menu(tx.connection) > 1:
        return False
    await tx.connection.execute(insert(toppings), [{"id": each, "price": TOPPING_PRICE} for each in TOPPINGS])
    for first in PIZZAS:
        pizza = Pizza(
            first.id,
            name=first.name,
            description=first.description,
            prices={size: round_cents(first.medium * SIZE_FACTORS[size]) for size in SIZES},
            toppings=TOPPINGS,
            ingredients=first.ingredients,
            preparation_seconds=first.preparation_seconds,
        )
        await record(tx, None, pizza, reason="staff")
    return True
