"""An order service per test, with neighbours of its own."""

import itertools
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from rediscore.client import RedisConnections
from rediscore.settings import RedisSettings

from services.order.tests.harness import Guest, House, KitchenStandIn, MenuStandIn, serving

_numbers = itertools.count()


@pytest_asyncio.fixture
async def house(redis_url: str, tmp_path: Path) -> AsyncIterator[House]:
    """Everything but the service itself: `open()` starts that. Streams have fixed names, so every
    test has a Redis database of its own.
    """
    settings = RedisSettings.from_url(redis_url).model_copy(update={"db": 1 + next(_numbers) % 15})
    connections = RedisConnections(settings)
    await connections.commands.flushdb()
    menu, kitchen = MenuStandIn(), KitchenStandIn(connections)
    house = House(tmp_path, settings, menu, kitchen)
    async with serving(menu.app) as house.menu_url, serving(kitchen.app) as house.kitchen_url:
        yield house
        await house.close()
    await connections.aclose()


@pytest_asyncio.fixture
async def guest(house: House) -> Guest:
    """A guest of the only replica."""
    return await house.guest(await house.open())
