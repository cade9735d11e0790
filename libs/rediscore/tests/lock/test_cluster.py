"""Locks and channels on a cluster, and over one shared connection: nothing is different."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest
from rediscore.client import RedisConnections
from rediscore.keys import KeySpace
from rediscore.lock import Locks, LockTimeout
from rediscore.pubsub import LiveChannels
from rediscore.testing import ClusterServers

pytestmark = [pytest.mark.proves("R10", "R19", "CLUSTER"), pytest.mark.xdist_group("cluster")]


@pytest.fixture(params=["pool", "multiplexed"])
async def cluster(
    cluster_servers: ClusterServers, request: pytest.FixtureRequest
) -> AsyncIterator[RedisConnections]:
    made = RedisConnections(cluster_servers.settings(transport=request.param))
    yield made
    await made.aclose()


async def test_locks_of_many_names_are_handed_over(cluster: RedisConnections, keys: KeySpace) -> None:
    order: dict[str, list[int]] = {str(name): [] for name in range(12)}
    tokens: dict[str, list[int]] = {name: [] for name in order}

    async def work(locks: Locks, name: str, number: int) -> None:
        async with locks.lock(name) as lease:
            order[name].append(number)
            tokens[name].append(lease.token)

    async with Locks(cluster, keys=keys) as locks:
        async with AsyncExitStack() as stack:
            for name in order:
                await stack.enter_async_context(locks.lock(name))
            tasks = []
            for number in range(3):
                tasks += [asyncio.create_task(work(locks, name, number)) for name in order]
                for name in order:  # nobody gets in between, whatever the order of arrival
                    with pytest.raises(LockTimeout):
                        await locks.lock(name, wait=timedelta(0)).__aenter__()
        await asyncio.gather(*tasks)
    assert all(sorted(numbers) == [0, 1, 2] for numbers in order.values())
    assert all(given == sorted(set(given)) for given in tokens.values())


async def test_a_message_reaches_listeners_at_every_node(
    cluster: RedisConnections, cluster_servers: ClusterServers, key_prefix: str
) -> None:
    said = LiveChannels(cluster)
    for _ in range(12):  # each listens at one node or another
        elsewhere = RedisConnections(cluster_servers.settings())
        async with LiveChannels(elsewhere).subscription(key_prefix) as messages:
            await said.publish(key_prefix, "heard")
            assert await asyncio.wait_for(anext(messages), 5) == b"heard"
        await elsewhere.aclose()
