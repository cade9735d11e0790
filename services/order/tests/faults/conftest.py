"""Order services as processes that may be killed."""

from collections.abc import AsyncIterator, Callable, Iterator

import pytest
import pytest_asyncio
from rediscore.testing.nursery import Nursery

from services.order.tests.faults.processes import Replica
from services.order.tests.harness import House


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    with Nursery("pizzeria_chassis.testing.ahead", "order_service.bootstrap") as made:
        yield made


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
