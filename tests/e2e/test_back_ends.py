"""Each row of what the pizzeria can do, happy path and three faults: on every way to run it."""

from collections.abc import Awaitable, Callable

import pytest

from tests.e2e import cases
from tests.e2e.cases_by_row import BY_ROW
from tests.e2e.harness import Pizzeria

BACK_ENDS = [
    pytest.param(name, marks=[pytest.mark.xdist_group(f"e2e-{name}"), pytest.mark.timeout(seconds)])
    # Compose builds its images first, on a new machine from nothing.
    for name, seconds in {"embedded": 120, "postgres": 120, "compose": 600}.items()
]
CASES = [
    cases.an_order_is_delivered,
    cases.kitchen_killed_while_cooking,
    cases.redis_wiped,
    cases.order_killed_before_relay,
]


@pytest.mark.proves("P4", "P8", "P17", "R16", "I1", "I2", "I3", "I4", "I5", "I6", "I7", "I9")
@pytest.mark.parametrize("make_back_end", BACK_ENDS, indirect=True, scope="session")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
async def test_on_every_back_end(case: Callable[[Pizzeria], Awaitable[None]], shop: Pizzeria) -> None:
    await case(shop)


ROWS = [pytest.param(case, marks=pytest.mark.proves(row), id=row) for row, case in BY_ROW.items()]


@pytest.mark.parametrize("make_back_end", BACK_ENDS, indirect=True, scope="session")
@pytest.mark.parametrize("case", ROWS)
async def test_each_row_on_every_back_end(
    case: Callable[[Pizzeria], Awaitable[None]], shop: Pizzeria
) -> None:
    await case(shop)
    await shop.check_invariants()
