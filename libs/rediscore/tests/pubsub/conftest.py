"""What the tests of pub/sub share."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from rediscore.client import RedisConnections
from rediscore.testing import eventually

Listening = Callable[..., Awaitable[None]]


@pytest.fixture
def listening(connections: RedisConnections) -> Listening:
    """Wait until the server knows so many subscribers of a channel."""

    async def wait(channel: str, count: int = 1) -> None:
        async def subscribed() -> bool:
            _, number = await connections.execute("PUBSUB", "NUMSUB", channel)
            return bool(number == count)

        await eventually(subscribed, what=f"{count} subscribers")

    return wait


@pytest.fixture(autouse=True)
async def _nothing_is_left() -> AsyncIterator[None]:
    yield
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "live-channels"]
