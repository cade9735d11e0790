"""Prices come from the menu alone, rounded half-up per unit."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from order_service.domain.errors import SoldOut, Unorderable
from order_service.domain.pricing import Wish, price, total
from pizzeria_contracts.menu import Menu, MenuItem, ToppingPrice
from pizzeria_contracts.money import Money
from pizzeria_contracts.payloads import Size


def pizza(
    pizza_id: str, *, available: bool = True, toppings: tuple[str, ...] = (), **prices: str
) -> MenuItem:
    return MenuItem.model_validate(
        {
            "id": pizza_id,
            "name": pizza_id.title(),
            "available": available,
            "prices": {size: Money.of(amount) for size, amount in prices.items()},
            "toppings": toppings,
            "version": 1,
        }
    )


MENU = Menu(
    items=(
        pizza(
            "margherita", small="10.39", medium="12.99", large="16.89", toppings=("olives", "basil", "gold")
        ),
        pizza("calzone", available=False, medium="11.00"),
    ),
    toppings=tuple(ToppingPrice(id=name, price=Money.of("1.50")) for name in ("olives", "basil", "ham")),
)


@pytest.mark.proves("P3")
@pytest.mark.parametrize(
    ("size", "toppings", "unit"),
    [
        ("small", (), "10.39"),
        ("medium", (), "12.99"),
        ("large", ("olives",), "18.39"),
        ("medium", ("olives", "basil"), "15.99"),
    ],
)
def test_unit_price(size: Size, toppings: tuple[str, ...], unit: str) -> None:
    (line,) = price([Wish("margherita", size, toppings, 1)], MENU)
    assert line.unit_price == Decimal(unit)


@given(st.lists(st.integers(min_value=1, max_value=50), min_size=1, max_size=20))
def test_the_total_is_the_sum_of_rounded_units(quantities: list[int]) -> None:
    lines = price([Wish("margherita", "large", (), quantity) for quantity in quantities], MENU)
    assert total(lines) == Decimal("16.89") * sum(quantities)


def test_every_fault_points_at_its_field() -> None:
    wishes = [
        Wish("nosuch", "medium", (), 1),
        Wish("margherita", "medium", ("olives", "ham", "gold"), 1),
        Wish("calzone", "large", (), 1),
    ]
    with pytest.raises(Unorderable) as caught:
        price(wishes, MENU)
    assert not isinstance(caught.value, SoldOut)
    assert [fault.pointer for fault in caught.value.faults] == [
        "/items/0/pizza_id",
        "/items/1/toppings/1",
        "/items/1/toppings/2",
        "/items/2/size",
    ]


def test_what_is_only_unavailable_is_sold_out() -> None:
    with pytest.raises(SoldOut) as caught:
        price([Wish("margherita", "small", (), 1), Wish("calzone", "medium", (), 1)], MENU)
    assert [fault.pointer for fault in caught.value.faults] == ["/items/1/pizza_id"]
