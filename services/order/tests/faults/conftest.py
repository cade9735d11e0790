"""Order services as processes that may be killed."""

from collections.abc import AsyncIterator, Callable, Iterator

import pytest
import pytest_asyncio

from services.order.tests.faults.processes import Nursery, Replica
from services.order.tests.harness import House


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    made = Nursery()
    yield made
    made.close()


@pytest_asyncio.fixture
async def replica(house: House, nursery: Nursery) -> AsyncIterator[Callable[[], Replica]]:
    """Makes replicas that are gone at the end of the test."""
    made: list[Replica] = []

    def make() -> Replica:
        made.append(Replica(house, nursery))
        return made[-1]

    yield make
    for one in made:
        await one.close()
