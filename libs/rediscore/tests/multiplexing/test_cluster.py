"""On a cluster: one shared connection per primary, redirections followed."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from redis.crc import key_slot
from rediscore.client import RedisConnections
from rediscore.testing import ClusterServers

pytestmark = [pytest.mark.proves("R1", "CLUSTER"), pytest.mark.xdist_group("cluster")]


@pytest.fixture
async def spread(cluster_servers: ClusterServers, key_prefix: str) -> AsyncIterator[RedisConnections]:
    made = RedisConnections(cluster_servers.settings(transport="multiplexed", client_name=key_prefix))
    yield made
    await made.aclose()


async def test_one_connection_per_primary(
    spread: RedisConnections, cluster_servers: ClusterServers, key_prefix: str
) -> None:
    keys = [f"{key_prefix}:{number}" for number in range(300)]

    await asyncio.gather(*(spread.execute("SET", key, key, "PX", 20_000) for key in keys))
    values = await asyncio.gather(*(spread.execute("GET", key) for key in keys))

    assert values == [key.encode() for key in keys]
    for server in cluster_servers.servers:
        with server.client() as client:
            assert [c["name"] for c in client.client_list()].count(key_prefix) == 1


async def test_a_slot_that_moves(
    spread: RedisConnections, cluster_servers: ClusterServers, key_prefix: str
) -> None:
    slot = key_slot(key_prefix.encode())
    old = slot * 3 // 16_384
    new = (old + 1) % 3
    assert await spread.execute("GET", key_prefix) is None
    one, other = cluster_servers.servers[old], cluster_servers.servers[new]
    with one.client() as source, other.client() as target:
        ids = [client.execute_command("CLUSTER", "MYID").decode() for client in (source, target)]
        try:
            # On its way: keys that are not there any more are asked for at the new node (ASKING).
            target.execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[0])
            source.execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[1])
            others = [f"{n}{{{key_prefix[:3]}}}" for n in range(100)]
            asked = [spread.execute("INCR", key_prefix) for _ in range(100)]
            answers = await asyncio.gather(*asked, *(spread.execute("ECHO", other) for other in others))
            assert sorted(answers[:100]) == list(range(1, 101))
            assert answers[100:] == [other.encode() for other in others]
            # Arrived: every node says MOVED.
            cluster_servers.move_slot(slot, new)
            assert await spread.execute("GETDEL", key_prefix) == b"100"
        finally:
            source.execute_command("CLUSTER", "SETSLOT", slot, "STABLE")
            cluster_servers.move_slot(slot, old)
    assert await spread.execute("EXISTS", key_prefix) == 0
