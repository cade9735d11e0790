"""The menu as its service answers it and others read it."""

from decimal import Decimal

from pydantic import BaseModel, ConfigDict

from pizzeria_contracts.money import Money
from pizzeria_contracts.payloads import Size

__all__ = ["Menu", "MenuItem", "ToppingPrice"]


class _View(BaseModel):
    # Readers are tolerant: a newer menu may say more.
    model_config = ConfigDict(frozen=True, extra="ignore")


class ToppingPrice(_View):
    id: str
    price: Money


class MenuItem(_View):
    """One pizza; ``toppings`` are those that may be added to it."""

    id: str
    name: str
    description: str = ""
    available: bool
    prices: dict[Size, Money]
    toppings: tuple[str, ...] = ()
    ingredients: tuple[str, ...] = ()
    preparation_seconds: int = 0
    version: int


class Menu(_View):
    """Answer of ``GET /menu``."""

    items: tuple[MenuItem, ...]
    next: str | None = None
    toppings: tuple[ToppingPrice, ...] = ()

    def item(self, pizza_id: str) -> MenuItem | None:
        return next((item for item in self.items if item.id == pizza_id), None)

    def topping_price(self, topping_id: str) -> Decimal | None:
        return next((topping.price.amount for topping in self.toppings if topping.id == topping_id), None)
