"""An order service per test, with neighbours of its own."""

import itertools
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from pizzeria_chassis.testing import serving
from rediscore.client import RedisConnections
from rediscore.testing import patient_settings

from services.order.tests.harness import Guest, House
from services.order.tests.neighbours import KitchenStandIn, MenuStandIn

_numbers = itertools.count()


@pytest.fixture
def flavour() -> str:
    """The kind of database; `ON_BOTH_DATABASES` overrides it."""
    return "sqlite"


@pytest.fixture
def database_url(flavour: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database."""
    if flavour == "sqlite":
        return f"sqlite:///{tmp_path}/order.db"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest_asyncio.fixture
async def house(redis_url: str, database_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    """Everything but the service itself: `open()` starts that. Streams have fixed names, so every
    test has a Redis database of its own.
    """
    # On a busy machine the first menu may take longer than a guest would wait for it.
    monkeypatch.setattr("order_service.adapters.menu_client.TIMEOUT", 5.0)
    settings = patient_settings(redis_url).model_copy(update={"db": 1 + next(_numbers) % 15})
    connections = RedisConnections(settings)
    await connections.commands.flushdb()
    menu, kitchen = MenuStandIn(), KitchenStandIn(connections)
    house = House(database_url, settings, menu, kitchen)
    async with serving(menu.app) as house.menu_url, serving(kitchen.app) as house.kitchen_url:
        yield house
        await house.close()
    await connections.aclose()


@pytest_asyncio.fixture
async def guest(house: House) -> Guest:
    """A guest of the only replica."""
    return await house.guest(await house.open())
