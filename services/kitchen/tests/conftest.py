"""Kitchens for tests: a database each, a Redis database each."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import redis
from rediscore.testing.server import ServerUnderTest

from services.kitchen.tests.harness import Hands, Kitchens, running

_numbers = count()
Make = Callable[..., Any]


@pytest.fixture
def own_redis(redis_server: ServerUnderTest) -> str:
    """Address of an empty database on the session's server: streams have fixed names."""
    url = f"{redis_server.url.rpartition('/')[0]}/{1 + next(_numbers) % 15}"
    with redis.Redis.from_url(url, socket_timeout=5) as client:
        client.flushdb()
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database; the test runs on both kinds."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'kitchen.db'}"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture
def database_first(request: pytest.FixtureRequest) -> None:
    """Make the database that a test asks for before its kitchens, so that it is dropped after them."""
    if "database_url" in request.fixturenames:
        request.getfixturevalue("database_url")


@pytest_asyncio.fixture
async def make_kitchens(tmp_path: Path, own_redis: str, database_first: None) -> AsyncIterator[Make]:
    """Kitchens on SQLite with short times, and options to change that; none is opened yet."""
    made: list[Kitchens] = []
    async with AsyncExitStack() as stack:

        async def make(**options: Any) -> Kitchens:
            settings = {"lease_seconds": 10, "sweep_seconds": 0.2, **options.pop("settings", {})}
            kitchens = Kitchens(
                folder=tmp_path,
                database_url=options.get("database_url", f"sqlite:///{tmp_path / 'kitchen.db'}"),
                redis_url=options.get("redis_url", own_redis),
                settings=settings,
            )
            made.append(kitchens)
            return await stack.enter_async_context(running(kitchens))

        yield make
        for kitchens in made:
            assert await kitchens.dead_letters() == []


@pytest_asyncio.fixture
async def kitchens(make_kitchens: Make) -> Kitchens:
    """Kitchens on SQLite; none is opened yet."""
    made: Kitchens = await make_kitchens()
    return made


@pytest_asyncio.fixture
async def hands(kitchens: Kitchens) -> Hands:
    """Hands in one open kitchen."""
    return Hands(await kitchens.open())
