"""An order service per test, with neighbours of its own."""

import itertools
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest
import pytest_asyncio
from pizzeria_chassis.testing import serving
from rediscore.client import RedisConnections
from rediscore.settings import RedisSettings
from rediscore.testing.server import engine_answers

from services.order.tests.harness import Guest, House
from services.order.tests.neighbours import KitchenStandIn, MenuStandIn

_numbers = itertools.count()


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """Address of a PostgreSQL server, where a container engine answers."""
    if not engine_answers():
        pytest.skip("no container engine answers: PostgreSQL is not tested here")
    from testcontainers.community.postgres import PostgresContainer

    with PostgresContainer("postgres:17-alpine", driver=None) as server:
        yield server.get_connection_url()


@pytest.fixture
def flavour() -> str:
    """The kind of database; `ON_BOTH_DATABASES` overrides it."""
    return "sqlite"


@pytest_asyncio.fixture
async def database_url(flavour: str, request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    """An empty database."""
    if flavour == "sqlite":
        yield f"sqlite:///{tmp_path}/order.db"
        return
    server: str = request.getfixturevalue("postgres")
    name = f"order_{uuid4().hex[:12]}"
    admin = await asyncpg.connect(server)
    await admin.execute(f"CREATE DATABASE {name}")
    yield f"{server.rpartition('/')[0]}/{name}"
    await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await admin.close()


@pytest_asyncio.fixture
async def house(redis_url: str, database_url: str) -> AsyncIterator[House]:
    """Everything but the service itself: `open()` starts that. Streams have fixed names, so every
    test has a Redis database of its own.
    """
    settings = RedisSettings.from_url(redis_url).model_copy(update={"db": 1 + next(_numbers) % 15})
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
