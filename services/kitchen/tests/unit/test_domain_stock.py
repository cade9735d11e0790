"""Stock, recipes and the estimate: arithmetic that must hold for every input."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kitchen_service.domain.errors import OutOfStock
from kitchen_service.domain.recipes import RECIPES, needed_for, recipe_for
from kitchen_service.domain.stock import MovementKind, Stock, short_of, total
from kitchen_service.domain.ticket import Pizza, Size

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
moves = st.lists(st.tuples(st.sampled_from(list(MovementKind)), st.integers(1, 30)), max_size=50)


@given(st.integers(0, 60), moves)
def test_whatever_moves_the_stock_adds_up_and_is_never_negative(
    initial: int, script: list[tuple[MovementKind, int]]
) -> None:
    stock = Stock(ingredient="dough", initial=initial, in_stock=initial, low_below=5)
    restocked = 0
    for kind, quantity in script:
        before = stock
        try:
            stock = stock.move(kind, quantity)
        except OutOfStock:
            assert kind is MovementKind.RESERVE
            assert quantity > before.in_stock
        except ValueError:
            assert kind in (MovementKind.RELEASE, MovementKind.CONSUME)
            assert quantity > before.reserved
        else:
            restocked += quantity if kind is MovementKind.RESTOCK else 0
        assert initial + restocked == stock.in_stock + stock.reserved + stock.consumed
        assert min(stock.in_stock, stock.reserved, stock.consumed) >= 0


def test_a_stock_that_does_not_add_up_cannot_exist() -> None:
    with pytest.raises(ValueError, match="does not add up"):
        Stock(ingredient="dough", initial=10, in_stock=9, low_below=0)


def test_what_is_short_is_named_also_when_the_kitchen_never_had_it() -> None:
    stocks = {"dough": Stock(ingredient="dough", initial=4, in_stock=4, low_below=0)}
    assert short_of({"dough": 4}, stocks) == ()
    assert short_of({"truffle": 1, "dough": 5}, stocks) == ("dough", "truffle")


@given(st.sampled_from(sorted(RECIPES)), st.lists(st.sampled_from(["olives", "mozzarella"]), max_size=3))
def test_a_larger_pizza_takes_more_and_toppings_are_counted(pizza_id: str, toppings: list[str]) -> None:
    small, medium, large = (
        sum(
            needed_for(
                Pizza(pizza_id=pizza_id, size=size, toppings=tuple(toppings)), RECIPES[pizza_id]
            ).values()
        )
        for size in (Size.SMALL, Size.MEDIUM, Size.LARGE)
    )
    assert small == sum(RECIPES[pizza_id].values()) + len(toppings)
    assert small < medium < large


def test_the_menu_says_what_goes_in_and_our_recipe_how_much() -> None:
    assert recipe_for("pepperoni", ["dough", "pepperoni", "basil"]) == {
        "dough": 1,
        "pepperoni": 2,
        "basil": 1,
    }
    assert recipe_for("truffle-dream", ["dough", "truffle"]) == {"dough": 1, "truffle": 1}
    assert "dough" in recipe_for("truffle-dream", None)


def test_parts_are_summed_per_ingredient() -> None:
    assert total([{"dough": 1}, {"dough": 2, "basil": 1}]) == {"dough": 3, "basil": 1}
