"""The first menu is that of the design."""

from decimal import Decimal

import pytest
from menu_service.seed import PIZZAS, SIZE_FACTORS, TOPPINGS
from pizzeria_contracts.money import round_cents

MEDIUM = {
    "margherita": "12.99",
    "pepperoni": "14.99",
    "vegetarian": "13.99",
    "hawaiian": "14.99",
    "bbq-chicken": "15.99",
    "meat-lovers": "16.99",
}


def test_pizzas_and_medium_prices() -> None:
    assert {pizza.id: str(pizza.medium) for pizza in PIZZAS} == MEDIUM


def test_toppings() -> None:
    assert set(TOPPINGS) == {
        "olives", "mushrooms", "onions", "peppers", "mozzarella",
        "ham", "bacon", "jalapenos", "pineapple", "basil",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("medium", "small", "large"),
    [
        ("12.99", "10.39", "16.89"),  # 10.392, 16.887
        ("14.99", "11.99", "19.49"),  # 11.992, 19.487
        ("13.99", "11.19", "18.19"),  # 11.192, 18.187
        ("15.99", "12.79", "20.79"),  # 12.792, 20.787
        ("16.99", "13.59", "22.09"),  # 13.592, 22.087
        ("0.15", "0.12", "0.20"),  # 0.195: the half cent goes up
    ],
)
def test_sizes_are_rounded_half_up(medium: str, small: str, large: str) -> None:
    prices = {size: str(round_cents(Decimal(medium) * factor)) for size, factor in SIZE_FACTORS.items()}
    assert prices == {"small": small, "medium": medium, "large": large}
