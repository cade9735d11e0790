"""The cart as it is shown."""

from decimal import Decimal

from pizzeria_contracts.money import Money
from pizzeria_contracts.payloads import Size
from pydantic import BaseModel, ConfigDict

from order_service.domain.cart import PricedCart, PricedLine


class _View(BaseModel):
    model_config = ConfigDict(frozen=True)


class CartTokenView(_View):
    cart_token: str


class CartLineView(_View):
    """`previous_unit_price`: what was shown before, where the menu has another price by now. What is not
    available cannot be checked out."""

    id: str
    pizza_id: str
    size: Size
    toppings: tuple[str, ...]
    quantity: int
    unit_price: Money
    previous_unit_price: Money | None
    available: bool

    @classmethod
    def of(cls, priced: PricedLine) -> "CartLineView":
        line = priced.line
        return cls(
            id=line.id,
            pizza_id=line.pizza_id,
            size=line.size,
            toppings=line.toppings,
            quantity=line.quantity,
            unit_price=Money(amount=line.quote),
            previous_unit_price=None if priced.before is None else Money(amount=priced.before),
            available=priced.available,
        )


class CartView(_View):
    """`total` is of what is available. `gone`: you had a cart, and it was lost or not used for too long."""

    items: tuple[CartLineView, ...]
    total: Money
    gone: bool

    @classmethod
    def of(cls, cart: PricedCart) -> "CartView":
        return cls(
            items=tuple(map(CartLineView.of, cart.lines)), total=Money(amount=cart.total), gone=cart.gone
        )


class PriceChangeView(_View):
    """`pointer` is into the cart as GET /cart shows it."""

    pointer: str
    old: Money
    new: Money

    @classmethod
    def of(cls, index: int, old: Decimal, new: Decimal) -> "PriceChangeView":
        return cls(pointer=f"/items/{index}", old=Money(amount=old), new=Money(amount=new))
