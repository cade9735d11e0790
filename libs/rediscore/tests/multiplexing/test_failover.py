"""A primary that is one no longer: by its own word, or by that of the sentinels."""

import asyncio

import pytest
import redis.exceptions
from rediscore.client import RedisConnections
from rediscore.testing import ServerUnderTest, eventually, patient_settings
from rediscore.testing.sentinel import SentinelServers

pytestmark = pytest.mark.proves("R1", "T3")


async def test_a_demoted_server_drops_the_connection(
    disposable_server: ServerUnderTest, key_prefix: str
) -> None:
    connections = RedisConnections(patient_settings(disposable_server.url, transport="multiplexed"))
    admin = RedisConnections(patient_settings(disposable_server.url))
    try:
        before = await connections.execute("CLIENT", "ID")
        await admin.execute("REPLICAOF", "127.0.0.1", 1)

        for command in (
            ("SET", key_prefix, 1),
            ("EVAL", "return redis.call('SET', KEYS[1], 1)", 1, key_prefix),
        ):
            with pytest.raises(redis.exceptions.ConnectionError, match="replica"):
                await connections.execute(*command)
        assert await connections.execute("CLIENT", "ID") > before

        await admin.execute("REPLICAOF", "NO", "ONE")
        assert await connections.execute("SET", key_prefix, 1) == b"OK"
    finally:
        await connections.aclose()
        await admin.aclose()


@pytest.mark.xdist_group("sentinel")
async def test_the_shared_connection_follows_a_failover(
    sentinel_set: SentinelServers, key_prefix: str
) -> None:
    old = sentinel_set.primary
    connections = RedisConnections(
        sentinel_set.settings(transport="multiplexed", retry_budget=30, retries=100, client_name=key_prefix)
    )
    key, stop, done = f"{key_prefix}:n", False, 0

    async def load(number: int) -> None:
        nonlocal done
        while not stop:
            await connections.execute("SET", f"{key_prefix}:{number}", done, "PX", 60_000, idempotent=True)
            done += 1

    tasks = []
    try:
        await connections.execute("PING")
        tasks = [asyncio.create_task(load(number)) for number in range(10)]
        await eventually(lambda: done > 100)

        await asyncio.to_thread(sentinel_set.kill_primary)
        seen = done
        await eventually(lambda: done > seen + 100, within=40)
        stop = True
        await asyncio.gather(*tasks)

        await connections.execute("SET", key, "here", "PX", 60_000, idempotent=True)
        with sentinel_set.primary.client() as primary:
            assert sentinel_set.primary is not old
            assert primary.get(key) == b"here"
            names = [client["name"] for client in primary.client_list()]
            assert names.count(key_prefix) == 1
    finally:
        stop = True
        await asyncio.gather(*tasks, return_exceptions=True)
        await connections.aclose()
        await asyncio.to_thread(sentinel_set.heal)
