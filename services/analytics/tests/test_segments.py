"""Who belongs to which segment, and until when."""

from collections import Counter
from datetime import date, timedelta

import pytest
from analytics_service.segments import Move, holds, memberships, moves
from analytics_service.tally import Cell, Tally, customer_table
from hypothesis import given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.proves("P12")

FIRST = date(2026, 1, 1)


def fields(orders: list[tuple[int, int, str]]) -> dict[str, int]:
    """A customer's table from orders: day, cents, pizza."""
    counts: Counter[str] = Counter()
    for day, cents, pizza in orders:
        on = (FIRST + timedelta(days=day)).isoformat()
        counts.update({f"{on}:orders": 1, f"{on}:cents": cents, f"{on}:pizza:{pizza}": 1})
    return dict(counts)


def is_in(name: str, orders: list[tuple[int, int, str]], today: int) -> bool:
    """The definitions in words, one day at a time."""

    def within(days: int) -> list[tuple[int, int, str]]:
        return [order for order in orders if today - days < order[0] <= today]

    match name:
        case "new":
            return min(day for day, _, _ in orders) > today - 14
        case "regular":
            return len(within(30)) >= 3
        case "lapsed":
            return not within(30) and bool(within(365))
        case "big-spender":
            return sum(cents for _, cents, _ in within(90)) >= 100_00
    last = max(day for day, _, _ in orders)
    eaten = Counter(pizza for day, _, pizza in orders if day > last - 90)
    favourite = min(eaten, key=lambda pizza: (-eaten[pizza], pizza))
    return name == f"likes-{favourite}" and today < last + 90


one_order = st.tuples(st.integers(0, 150), st.integers(0, 6000), st.sampled_from(["hawaiian", "calzone"]))


@settings(max_examples=40, deadline=None)
@given(st.lists(one_order, min_size=1, max_size=12))
def test_a_membership_ends_on_the_day_on_which_it_is_no_longer_true(
    orders: list[tuple[int, int, str]],
) -> None:
    last = max(day for day, _, _ in orders)
    member = memberships(fields(orders))
    for today in (*range(last, last + 95), *range(last + 363, last + 368)):
        for name in ("new", "regular", "lapsed", "big-spender", "likes-hawaiian", "likes-calzone"):
            found = holds(name, member, FIRST + timedelta(days=today))
            assert found == is_in(name, orders, today), (name, today - last)


def test_who_never_ordered_is_nowhere() -> None:
    assert memberships({}) == {}


def test_moves_say_what_changes() -> None:
    before = fields([(0, 500, "hawaiian"), (1, 500, "hawaiian")])
    news = Tally(
        {Cell(customer_table("c-1"), name): n for name, n in fields([(2, 9500, "calzone")] * 3).items()}
    )
    found = {move.segment: move for move in moves({"c-1": before}, news)}
    assert found.keys() == {"seen", "current", "regular", "big-spender", "likes-hawaiian", "likes-calzone"}
    assert found["likes-hawaiian"] == Move("likes-hawaiian", "c-1", None)  # calzone is ahead now
    assert found["regular"] == Move("regular", "c-1", FIRST + timedelta(days=32))
