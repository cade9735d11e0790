"""Menus for tests: a database each, a Redis database each."""

from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path

import pytest
import pytest_asyncio
import redis
from rediscore.testing import FaultProxy, ServerUnderTest, patient_settings

from services.menu.tests.harness import Kitchen, Menu, open_menu

_numbers = count()


@pytest.fixture
def own_redis(redis_server: ServerUnderTest) -> str:
    """An empty database on the session's server: streams have fixed names, so tests cannot share one."""
    url = f"{redis_server.url.rpartition('/')[0]}/{1 + next(_numbers) % 15}"
    with redis.Redis.from_url(url, socket_timeout=5) as client:
        client.flushdb()
    return url


@pytest_asyncio.fixture
async def redis_road(own_redis: str) -> AsyncIterator[FaultProxy]:
    """The way to `own_redis`, to be cut and paused."""
    at = patient_settings(own_redis)
    async with FaultProxy(at.host, at.port) as proxy:
        yield proxy


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """An empty SQLite database."""
    return f"sqlite:///{tmp_path / 'menu.db'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """An empty database; the test runs on both kinds."""
    url: str = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")
    return url


@pytest_asyncio.fixture
async def menu(sqlite_url: str, own_redis: str) -> AsyncIterator[Menu]:
    """A menu on SQLite, without a kitchen."""
    async with open_menu(sqlite_url, own_redis) as opened:
        yield opened


@pytest_asyncio.fixture
async def any_menu(database_url: str, own_redis: str) -> AsyncIterator[Menu]:
    """A menu on SQLite or PostgreSQL, without a kitchen."""
    async with open_menu(database_url, own_redis) as opened:
        yield opened


@pytest_asyncio.fixture
async def kitchen(tmp_path: Path, own_redis: str) -> AsyncIterator[Kitchen]:
    """A kitchen that tells about its stock."""
    async with Kitchen(f"sqlite:///{tmp_path / 'kitchen.db'}", own_redis).open() as opened:
        yield opened


@pytest_asyncio.fixture
async def menu_by_kitchen(database_url: str, own_redis: str, kitchen: Kitchen) -> AsyncIterator[Menu]:
    """A menu on SQLite or PostgreSQL that hears from `kitchen`."""
    async with open_menu(database_url, own_redis, kitchen_url=kitchen.url) as opened:
        yield opened
