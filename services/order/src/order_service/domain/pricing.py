"""What an order costs, from the menu alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from pizzeria_contracts.events import OrderedItem
from pizzeria_contracts.menu import Menu, MenuItem
from pizzeria_contracts.money import round_cents
from pizzeria_contracts.payloads import Size

from order_service.domain.errors import Fault, SoldOut, Unorderable


@dataclass(frozen=True)
class Wish:
    """One line as the guest asks for it."""

    pizza_id: str
    size: Size
    toppings: tuple[str, ...]
    quantity: int


def price(wishes: Sequence[Wish], menu: Menu) -> tuple[OrderedItem, ...]:
    """Each wish with its unit price in EUR, rounded half-up per unit.

    Raises Unorderable with every fault, each pointing at the field of the request; SoldOut when
    the only fault is that pizzas on the menu are not available at the moment.
    """
    items = [menu.item(wish.pizza_id) for wish in wishes]
    faults = [
        fault
        for index, (wish, item) in enumerate(zip(wishes, items, strict=True))
        for fault in _faults(f"/items/{index}", wish, item, menu)
    ]
    if faults:
        raise Unorderable(faults)
    sold_out = [index for index, item in enumerate(items) if item is not None and not item.available]
    if sold_out:
        raise SoldOut(
            [Fault(f"/items/{index}/pizza_id", "Not available now; choose another.") for index in sold_out]
        )
    return tuple(
        _sold(wish, item, menu) for wish, item in zip(wishes, items, strict=True) if item is not None
    )


def price_one(wish: Wish, menu: Menu) -> OrderedItem:
    """As `price`, for one wish; faults point into the wish itself."""
    try:
        (item,) = price([wish], menu)
    except Unorderable as error:
        faults = [Fault(fault.pointer.removeprefix("/items/0"), fault.detail) for fault in error.faults]
        raise type(error)(faults) from None
    return item


def total(items: Sequence[OrderedItem]) -> Decimal:
    """What all lines cost together, in EUR."""
    return sum((item.unit_price * item.quantity for item in items), Decimal("0.00"))


def _sold(wish: Wish, item: MenuItem, menu: Menu) -> OrderedItem:
    extras = sum((menu.topping_price(topping) or Decimal(0) for topping in wish.toppings), Decimal(0))
    return OrderedItem(
        pizza_id=wish.pizza_id,
        size=wish.size,
        toppings=wish.toppings,
        quantity=wish.quantity,
        unit_price=round_cents(item.prices[wish.size].amount + extras),
    )


def _faults(at: str, wish: Wish, item: MenuItem | None, menu: Menu) -> list[Fault]:
    if item is None:
        return [Fault(f"{at}/pizza_id", "There is no such pizza on the menu; see GET /menu.")]
    faults = []
    if wish.size not in item.prices:
        faults.append(Fault(f"{at}/size", f"This pizza comes as {', '.join(item.prices)}."))
    for index, topping in enumerate(wish.toppings):
        if topping not in item.toppings or menu.topping_price(topping) is None:
            takes = ", ".join(item.toppings) or "no extra toppings"
            faults.append(Fault(f"{at}/toppings/{index}", f"This pizza takes {takes}."))
    return faults
