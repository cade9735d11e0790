"""The local level on a cluster: a connection to every primary, and trust only while all of them speak."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
import pytest_asyncio
from rediscore.cache import Cache, Local
from rediscore.client import RedisConnections
from rediscore.keys import KeySpace
from rediscore.metrics import Metrics
from rediscore.testing import eventually
from rediscore.testing.cluster import ClusterServers

pytestmark = [pytest.mark.proves("R7", "C4", "CLUSTER"), pytest.mark.xdist_group("cluster")]

NAMES = [f"k{number}" for number in range(24)]


@pytest_asyncio.fixture
async def here(cluster_servers: ClusterServers) -> AsyncIterator[RedisConnections]:
    made = RedisConnections(cluster_servers.settings())
    yield made
    await made.aclose()


@pytest_asyncio.fixture
async def there(cluster_servers: ClusterServers) -> AsyncIterator[RedisConnections]:
    made = RedisConnections(cluster_servers.settings())
    yield made
    await made.aclose()


async def test_changes_on_every_node_are_heard_and_a_lost_node_is_noticed(
    here: RedisConnections, there: RedisConnections, key_prefix: str
) -> None:
    metrics = Metrics()
    keys, ttl = KeySpace(key_prefix), timedelta(minutes=1)
    near: Cache[str] = Cache(here, "spread", keys=keys, ttl=ttl, shards=6, local=Local(), metrics=metrics)
    far: Cache[str] = Cache(there, "spread", keys=keys, ttl=ttl, shards=6)
    counts = metrics.meter("cache", "spread").counts

    async def from_memory() -> int:
        before = counts["local_hit"]
        await near.get_many(NAMES)
        return counts["local_hit"] - before

    async def all_from_memory() -> bool:
        return await from_memory() == len(NAMES)

    await far.set_many(dict.fromkeys(NAMES, "old"), tags=["all"])
    await eventually(all_from_memory)
    for name in NAMES[:12]:
        await far.set(name, "new")
    expected = {name: "new" if name in NAMES[:12] else "old" for name in NAMES}

    async def right() -> bool:
        return await near.get_many(NAMES) == expected

    await eventually(right)
    await eventually(all_from_memory)
    await far.invalidate_tags("all")
    expected = dict.fromkeys(NAMES[:12], "new")
    await eventually(right)

    await far.set_many(dict.fromkeys(NAMES, "newer"))
    await eventually(all_from_memory)
    one, *_ = await there.primaries()
    clients = (await one.execute("CLIENT", "LIST")).decode().splitlines()
    (link,) = [line.split()[0][3:] for line in clients if "B" in line.split("flags=")[1].split()[0]]
    await one.execute("CLIENT", "KILL", "ID", link)
    await far.set_many(dict.fromkeys(NAMES, "newest"))
    expected = dict.fromkeys(NAMES, "newest")
    await eventually(right)
    await eventually(all_from_memory)
    await near.aclose()
