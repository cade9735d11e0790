"""Databases of both flavours, a Redis that a test may wipe, and two chassis that talk to each other."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio
from pizzeria_chassis.database import Database
from pizzeria_chassis.testing import TOKENS, create_chassis_tables_now
from pizzeria_chassis.testing.events import Replica, Upstream, prepare
from pydantic import SecretStr
from rediscore.client import RedisConnections
from rediscore.settings import RedisSettings
from rediscore.testing import patient_settings
from rediscore.testing.nursery import Nursery

OWN_DB = 9


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    """Where the processes of these tests come from."""
    with Nursery("pizzeria_chassis.serve", "pizzeria_chassis.testing.events") as made:
        yield made


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/{uuid4().hex[:8]}.db"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """The same test on both databases."""
    url: str = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")
    return url


@pytest_asyncio.fixture
async def open_database() -> AsyncIterator[Callable[..., Database]]:
    """Open databases that are closed at the end of the test; several on one address are replicas."""
    opened: list[Database] = []

    def open_one(url: str, source: str = "/pizzeria/kitchen") -> Database:
        database = Database(url, source=source, retriable_constraints={"pk_counters"})
        opened.append(database)
        return database

    yield open_one
    for database in opened:
        await database.aclose()


@pytest_asyncio.fixture
async def database(database_url: str, open_database: Callable[..., Database]) -> Database:
    """A database with the tables of the chassis, once per flavour."""
    database = open_database(database_url)
    await create_chassis_tables_now(database)
    return database


@pytest_asyncio.fixture
async def own_redis(redis_url: str) -> RedisSettings:
    """A numbered database of the session's server, empty: the names of streams are the same in all tests."""
    settings = patient_settings(redis_url).model_copy(update={"db": OWN_DB})
    connections = RedisConnections(settings)
    await connections.commands.flushdb()
    await connections.aclose()
    return settings


@pytest_asyncio.fixture
async def own_connections(own_redis: RedisSettings) -> AsyncIterator[RedisConnections]:
    connections = RedisConnections(own_redis)
    yield connections
    await connections.aclose()


@pytest_asyncio.fixture
async def upstream(
    tmp_path: Path, open_database: Callable[..., Database], own_connections: RedisConnections
) -> AsyncIterator[Upstream]:
    """A kitchen with its relay at work; always on SQLite, which is not what these tests are about."""
    database = open_database(f"sqlite:///{tmp_path}/kitchen.db", source="/pizzeria/kitchen")
    await create_chassis_tables_now(database)
    kitchen = Upstream(database, own_connections)
    await kitchen.relay.start()
    yield kitchen
    await kitchen.relay.stop()


@pytest_asyncio.fixture
async def replica(
    database_url: str, open_database: Callable[..., Database], own_redis: RedisSettings, upstream: Upstream
) -> AsyncIterator[Callable[..., Awaitable[Replica]]]:
    """Make replicas of the consuming service, which share a database; stopped at the end."""
    made: list[Replica] = []

    async def make(*, partitions: int = 1, lease: float = 120.0) -> Replica:
        database = open_database(database_url, source="/pizzeria/order")
        if not made:
            await prepare(database)
        made.append(Replica(database, own_redis, upstream.transport(), partitions=partitions, lease=lease))
        return made[-1]

    yield make
    for one in made:
        await one.stop()


@pytest.fixture
def tokens() -> dict[str, SecretStr]:
    return {f"{role}_token": SecretStr(token) for role, token in TOKENS.items()}
