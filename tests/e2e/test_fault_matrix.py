"""The matrix of faults, on one process per service and on two of order and kitchen."""

from collections.abc import Awaitable, Callable

import pytest

from tests.e2e.faults import FAULTS
from tests.e2e.harness import Pizzeria

EVERY_INVARIANT = [f"I{number}" for number in range(1, 10)]

Fault = Callable[[Pizzeria], Awaitable[None]]


@pytest.mark.xdist_group("e2e-full")
@pytest.mark.proves(
    "P1", "P3", "P4", "P5", "P13", "R16", "R18", "I1", "I2", "I3", "I4", "I5", "I6", "I7", "I8", "I9"
)
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
async def test_what_happens_when(fault: Fault, pizzeria: Pizzeria) -> None:
    await fault(pizzeria)
    await pizzeria.check_invariants()


@pytest.mark.xdist_group("e2e-replicas")
@pytest.mark.proves("P5", *EVERY_INVARIANT)
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
async def test_what_happens_when_with_two_replicas(fault: Fault, replicated: Pizzeria) -> None:
    await fault(replicated)
    await replicated.check_invariants()
