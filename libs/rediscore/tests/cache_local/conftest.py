"""A second client, which is what another process is to the first."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from rediscore.cache.local import MISSING, Local, LocalCache
from rediscore.client import RedisConnections
from rediscore.testing import eventually, patient_settings


@pytest_asyncio.fixture
async def other(redis_url: str) -> AsyncIterator[RedisConnections]:
    """The connections of somebody else."""
    made = RedisConnections(patient_settings(redis_url))
    yield made
    await made.aclose()


@pytest.fixture
def base(key_prefix: str) -> str:
    """Where the keys of a cache begin."""
    return f"{key_prefix}:v1:{{cache:menu:0}}"


async def followed(connections: RedisConnections, base: str, options: Local | None = None) -> LocalCache[str]:
    """A local level that hears what happens."""
    local: LocalCache[str] = LocalCache(options)
    local.attach(connections.invalidations, [base])
    await hearing(local)
    return local


async def hearing(local: LocalCache[str]) -> None:
    """Wait until it keeps what it is given."""
    await eventually(lambda: keep(local, "probe", "x"), what="the feed is live")
    local.drop("probe")


def keep(local: LocalCache[str], key: str, value: str, *, tagged: bool = False) -> bool:
    """Read and store in one moment."""
    return local.store(local.reserve(key), value, fresh_for=600, tagged=tagged)


async def read(connections: RedisConnections, local: LocalCache[str], base: str, key: str) -> str | None:
    """What a cache does: from memory, else from Redis, and keep it."""
    found = local.get(key)
    if found is not MISSING:
        return found
    reservation = local.reserve(key)
    reply = await connections.execute("GET", f"{base}:e:{key}", idempotent=True)
    if reply is None:
        return None
    value: str = reply.decode()
    local.store(reservation, value, fresh_for=600, tagged=False)
    return value
