"""A cart: what somebody means to order, at the prices that they were last shown. Pure."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Final

from pizzeria_contracts.menu import Menu
from pizzeria_contracts.payloads import Size

from order_service.domain import pricing
from order_service.domain.errors import CartBusy, CartFull, UnknownLine, Unorderable
from order_service.domain.pricing import Wish

MAX_LINES: Final = 20


@dataclass(frozen=True)
class Line:
    """`quote` is the unit price in EUR that was last shown; nothing else is ever charged."""

    id: str
    pizza_id: str
    size: Size
    toppings: tuple[str, ...]
    quantity: int
    quote: Decimal

    @property
    def wish(self) -> Wish:
        return Wish(self.pizza_id, self.size, self.toppings, self.quantity)


@dataclass(frozen=True)
class Cart:
    """`held_until`: a checkout is under way, and the lines are its own until then."""

    id: str = ""
    lines: tuple[Line, ...] = ()
    held_until: datetime | None = None

    @property
    def tag(self) -> str:
        """Changes with everything that a guest is shown and would be charged."""
        shown = [(line.id, line.pizza_id, line.size, line.toppings, line.quantity) for line in self.lines]
        quotes = [str(line.quote) for line in self.lines]
        return hashlib.sha256(repr((shown, quotes)).encode()).hexdigest()[:32]

    @property
    def wishes(self) -> tuple[Wish, ...]:
        return tuple(line.wish for line in self.lines)

    def free(self, now: datetime) -> "Cart":
        """The cart if nobody is checking it out. Raises CartBusy."""
        if self.held_until is not None and now < self.held_until:
            raise CartBusy
        return replace(self, held_until=None)

    def line(self, line_id: str) -> Line:
        """Raises UnknownLine."""
        for line in self.lines:
            if line.id == line_id:
                return line
        raise UnknownLine

    def put(self, line: Line) -> "Cart":
        """With this line; one that is there under the same id stays as it is. Raises CartFull."""
        if any(known.id == line.id for known in self.lines):
            return self
        if len(self.lines) >= MAX_LINES:
            raise CartFull(MAX_LINES)
        return replace(self, lines=(*self.lines, line))

    def change(self, line: Line) -> "Cart":
        """With this line in the place of the one with its id. Raises UnknownLine."""
        self.line(line.id)
        return replace(self, lines=tuple(line if line.id == known.id else known for known in self.lines))

    def without(self, line_id: str) -> "Cart":
        """Raises UnknownLine."""
        self.line(line_id)
        return replace(self, lines=tuple(known for known in self.lines if known.id != line_id))

    def joined(self, other: "Cart") -> tuple["Cart", "Cart"]:
        """With the other's lines as far as they fit, each once, and the other with what did not fit."""
        known = {line.id for line in self.lines}
        new = [line for line in other.lines if line.id not in known]
        room = MAX_LINES - len(self.lines)
        return (
            replace(self, lines=(*self.lines, *new[:room])),
            replace(other, lines=tuple(new[room:])),
        )


@dataclass(frozen=True)
class PricedLine:
    """A line at today's price; `before` is the price last shown, if that was another one."""

    line: Line
    available: bool
    before: Decimal | None = None


@dataclass(frozen=True)
class PricedCart:
    """A cart with today's prices as its quotes. `gone`: there was one, and it is lost or has run out."""

    cart: Cart
    lines: tuple[PricedLine, ...]
    gone: bool = field(default=False)

    @property
    def total(self) -> Decimal:
        """Of what can be had now, in EUR."""
        prices = [priced.line.quote * priced.line.quantity for priced in self.lines if priced.available]
        return sum(prices, Decimal("0.00"))


def price(cart: Cart, menu: Menu) -> PricedCart:
    """The cart by this menu. What cannot be had now keeps the price that it was shown with."""
    lines = tuple(_priced(line, menu) for line in cart.lines)
    return PricedCart(replace(cart, lines=tuple(priced.line for priced in lines)), lines)


def requoted(cart: Cart, prices: Sequence[Decimal]) -> Cart:
    """The cart with these unit prices as what was shown."""
    lines = (replace(line, quote=quote) for line, quote in zip(cart.lines, prices, strict=True))
    return replace(cart, lines=tuple(lines), held_until=None)


def _priced(line: Line, menu: Menu) -> PricedLine:
    try:
        (sold,) = pricing.price([line.wish], menu)
    except Unorderable:
        return PricedLine(line, available=False)
    before = None if sold.unit_price == line.quote else line.quote
    return PricedLine(replace(line, quote=sold.unit_price), available=True, before=before)
