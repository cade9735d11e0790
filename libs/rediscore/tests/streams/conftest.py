"""The stream kit on the session's server, and on one that the test may hurt."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from rediscore.client import RedisConnections
from rediscore.settings import RedisSettings
from rediscore.testing import ServerUnderTest
from rediscore.testing.streams import Recorder, StreamKit


@pytest_asyncio.fixture
async def kit(connections: RedisConnections, key_prefix: str) -> AsyncIterator[StreamKit]:
    made = StreamKit(connections, key_prefix)
    yield made
    await made.stop()


@pytest_asyncio.fixture
async def own_kit(disposable_server: ServerUnderTest, key_prefix: str) -> AsyncIterator[StreamKit]:
    connections = RedisConnections(RedisSettings.from_url(disposable_server.url))
    made = StreamKit(connections, key_prefix)
    yield made
    await made.stop()
    await connections.aclose()


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()
