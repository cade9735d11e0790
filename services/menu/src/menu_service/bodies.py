"""What staff send to change the menu. Unknown fields are refused."""

from typing import Annotated, Any

from pizzeria_chassis.requests import RequestBody
from pizzeria_contracts.money import Money
from pizzeria_contracts.payloads import Size
from pydantic import AfterValidator, Field, StringConstraints

Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=64)]


def _above_zero(price: Money) -> Money:
    if price.amount <= 0:
        raise ValueError("must be above 0.00")
    return price


def _once_each(slugs: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(slugs)) < len(slugs):
        raise ValueError("must name each only once")
    return slugs


Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
Description = Annotated[str, StringConstraints(strip_whitespace=True, max_length=500)]
Price = Annotated[Money, AfterValidator(_above_zero)]
Slugs = Annotated[tuple[Slug, ...], Field(max_length=50), AfterValidator(_once_each)]
Ingredients = Annotated[Slugs, Field(min_length=1)]
Seconds = Annotated[int, Field(ge=1, le=7200)]


class Prices(RequestBody):
    small: Price
    medium: Price
    large: Price


class NewPizza(RequestBody):
    """A whole pizza. ``available`` says whether staff offer it; a low ingredient may still keep it off."""

    name: Name
    description: Description = ""
    available: bool = True
    prices: Prices
    toppings: Slugs = ()
    ingredients: Ingredients
    preparation_seconds: Seconds


class PizzaChange(RequestBody):
    """The fields to change; prices size by size."""

    # Default factories, not None: a field may be left out, but null is no value for it.
    name: Name = Field(default_factory=str)
    description: Description = Field(default_factory=str)
    available: bool = Field(default_factory=bool)
    prices: dict[Size, Price] = Field(default_factory=dict)
    toppings: Slugs = Field(default_factory=tuple)
    ingredients: Ingredients = Field(default_factory=tuple)
    preparation_seconds: Seconds = Field(default_factory=int)

    def given(self) -> dict[str, Any]:
        """The fields that the sender named, and their values."""
        return {name: getattr(self, name) for name in self.model_fields_set}
