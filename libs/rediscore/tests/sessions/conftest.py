"""Sessions on keys of their own, and connections that lose replies."""

import pytest
from rediscore.client import RedisConnections
from rediscore.keys import KeySpace
from rediscore.testing import ServerTime, load_scripts


@pytest.fixture
def now() -> ServerTime:
    return ServerTime()


@pytest.fixture
def keys(key_prefix: str) -> KeySpace:
    return KeySpace(key_prefix)


@pytest.fixture
async def through_proxy(through_proxy: RedisConnections) -> RedisConnections:
    """The server knows the scripts, so what gets lost is the reply to an effect, not a NOSCRIPT."""
    await load_scripts(through_proxy, "rediscore.sessions")
    return through_proxy
