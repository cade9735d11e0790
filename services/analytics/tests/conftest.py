"""Analytics for tests: a database each, a Redis database each, and three services that tell."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from itertools import count
from pathlib import Path

import pytest
import pytest_asyncio
import redis
from rediscore.testing import FaultProxy, ServerUnderTest, patient_settings

from services.analytics.tests.harness import Analytics, Books, House, Upstream, open_books

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
    return f"sqlite:///{tmp_path / 'analytics.db'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """An empty database; the test runs on both kinds."""
    url: str = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")
    return url


async def _house(folder: Path, database_url: str, redis_url: str) -> AsyncIterator[House]:
    async with AsyncExitStack() as stack:
        services = {
            name: await stack.enter_async_context(Upstream(name, folder, redis_url).open())
            for name in ("order", "kitchen", "menu")
        }
        yield House(**services, database_url=database_url, redis_url=redis_url)


@pytest_asyncio.fixture
async def house(tmp_path: Path, sqlite_url: str, own_redis: str) -> AsyncIterator[House]:
    """Services that tell; analytics would keep it in SQLite."""
    async for made in _house(tmp_path, sqlite_url, own_redis):
        yield made


@pytest_asyncio.fixture
async def any_house(tmp_path: Path, database_url: str, own_redis: str) -> AsyncIterator[House]:
    """Services that tell; analytics would keep it in SQLite or PostgreSQL."""
    async for made in _house(tmp_path, database_url, own_redis):
        yield made


@pytest_asyncio.fixture
async def analytics(house: House) -> AsyncIterator[Analytics]:
    """Analytics that hears from `house`."""
    async with house.analytics() as opened:
        yield opened


@pytest_asyncio.fixture
async def books(house: House) -> AsyncIterator[Books]:
    """A look beside the service of `house`."""
    async with open_books(house.database_url, house.redis_url) as opened:
        yield opened
