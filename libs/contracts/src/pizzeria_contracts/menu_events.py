"""Events of the menu. Subject: the pizza id."""

from typing import ClassVar, Literal

from pydantic import Field

from pizzeria_contracts.money import CURRENCY, Amount, Currency
from pizzeria_contracts.payloads import Payload, Size

__all__ = ["MenuItemChanged", "MenuItemRestored", "MenuItemWithdrawn"]


class MenuItemChanged(Payload):
    """A pizza was added or edited; the whole item as it is now."""

    event_type: ClassVar[str] = "pizzeria.menu.item_changed.v1"

    version: int = Field(ge=1)
    pizza_id: str
    name: str
    available: bool
    prices: dict[Size, Amount]
    currency: Currency = CURRENCY
    toppings: tuple[str, ...] = ()
    ingredients: tuple[str, ...] = ()
    preparation_seconds: int = Field(default=0, ge=0)


class MenuItemWithdrawn(Payload):
    """A pizza cannot be ordered any more: staff took it off, deleted it, or an ingredient is low."""

    event_type: ClassVar[str] = "pizzeria.menu.item_withdrawn.v1"

    version: int = Field(ge=1)
    reason: Literal["staff", "stock", "deleted"]


class MenuItemRestored(Payload):
    """A pizza can be ordered again."""

    event_type: ClassVar[str] = "pizzeria.menu.item_restored.v1"

    version: int = Field(ge=1)
