"""A primary that sentinels name: a failover is followed, and nobody is told what is not so."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import redis.exceptions
from rediscore.client import RedisConnections
from rediscore.testing import SentinelServers, eventually
from rediscore.testing.sentinel import MASTER

pytestmark = [pytest.mark.proves("R1"), pytest.mark.xdist_group("sentinel")]


@pytest.fixture
async def followed(sentinel_set: SentinelServers) -> AsyncIterator[RedisConnections]:
    """Patient enough for a failover."""
    settings = sentinel_set.settings(retries=100, retry_budget=60, backoff_maximum=0.5, pool_size=8)
    made = RedisConnections(settings)
    yield made
    await made.aclose()


async def test_finds_the_primary_though_a_sentinel_is_dead_or_knows_nothing(
    sentinel_set: SentinelServers, key_prefix: str
) -> None:
    port = sentinel_set.sentinels[1].port
    settings = sentinel_set.settings(
        sentinels=f"127.0.0.1:1,127.0.0.1:{sentinel_set.servers[0].port},127.0.0.1:{port}",
        retries=0,
        connect_timeout=10,  # all fifty wait for the first to ask, and the machine may be busy
    )
    made = RedisConnections(settings)
    try:
        await asyncio.gather(*(made.execute("INCR", key_prefix) for _ in range(50)))
        assert await made.commands.get(key_prefix) == b"50"
        assert [endpoint.address[1] for endpoint in await made.endpoints()] == [sentinel_set.primary.port]
    finally:
        await made.aclose()


async def test_no_sentinel_knows_the_name(sentinel_set: SentinelServers) -> None:
    made = RedisConnections(sentinel_set.settings(sentinel_master="pasta", retries=0))
    try:
        with pytest.raises(redis.exceptions.ConnectionError, match="knows no pasta"):
            await made.execute("PING")
    finally:
        await made.aclose()


async def test_a_replica_is_no_primary_whatever_a_sentinel_says(
    sentinel_set: SentinelServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sentinel may lag behind: the server itself is asked."""
    made = RedisConnections(sentinel_set.settings(retries=0))
    replica = next(server for server in sentinel_set.servers if server is not sentinel_set.primary)
    (endpoint,) = await made.endpoints()

    async def lag(*_: object) -> list[bytes]:
        return [b"127.0.0.1", str(replica.port).encode()]

    monkeypatch.setattr(endpoint, "_ask_one", lag)
    try:
        with pytest.raises(redis.exceptions.ConnectionError, match="no primary"):
            await made.execute("GET", "k")
    finally:
        await made.aclose()


async def test_failover_under_load(
    sentinel_set: SentinelServers, followed: RedisConnections, key_prefix: str
) -> None:
    """The primary is killed while ten tasks write. Each remembers what is certain: what was acknowledged,
    and what a replica had confirmed (WAIT) before. None of the latter may be lost, a value that nobody
    wrote may not appear, and all go on with the new primary within seconds."""
    stop = asyncio.Event()
    confirmed = dict.fromkeys(range(10), 0)
    sent = dict.fromkeys(range(10), 0)
    blocked = asyncio.ensure_future(_wait_for(followed, f"{key_prefix}:mark"))

    async def write(task: int) -> None:
        key = f"{key_prefix}:{task}"
        while not stop.is_set():
            sent[task] += 1
            await followed.execute("SET", key, sent[task], idempotent=True)
            try:
                async with followed.commands.pipeline(transaction=False) as pipeline:
                    pipeline.set(key, sent[task])
                    pipeline.execute_command("WAIT", 1, 200)
                    if (await pipeline.execute())[1] == 1:
                        confirmed[task] = sent[task]
            except (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError):
                await asyncio.sleep(0.05)

    tasks = [asyncio.ensure_future(write(task)) for task in confirmed]
    try:
        await eventually(lambda: min(confirmed.values()) > 3, within=40)
        killed = await asyncio.to_thread(sentinel_set.kill_primary)
        certain, so_far = dict(confirmed), dict(sent)

        await eventually(lambda: all(sent[task] > so_far[task] + 2 for task in sent), within=40)

        stop.set()
        await asyncio.gather(*tasks)
        for task in sent:
            value = int(await followed.execute("GET", f"{key_prefix}:{task}", idempotent=True))
            assert certain[task] <= value <= sent[task]
        await followed.execute("ZADD", f"{key_prefix}:mark", 1, "seen", idempotent=True)
        assert await blocked == b"seen"
        (endpoint,) = await followed.endpoints()
        assert endpoint.address[1] != killed.port
    finally:
        stop.set()
        await asyncio.to_thread(sentinel_set.heal)
        await asyncio.gather(*tasks, return_exceptions=True)


async def _wait_for(connections: RedisConnections, key: str) -> object:
    while True:
        try:
            popped = await connections.blocking(1).bzpopmin(key, 1)
        except (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError):
            await asyncio.sleep(0.1)
        else:
            if popped is not None:
                return popped[1]


async def test_a_demoted_primary_is_left(
    sentinel_set: SentinelServers, followed: RedisConnections, key_prefix: str
) -> None:
    """The sentinels are told to move the primary while it lives. It takes writes for eight seconds more, and
    loses them: its connections must not be used any more, and a second later they are not."""
    await asyncio.gather(*(followed.execute("SET", key_prefix, 1) for _ in range(20)))
    old = sentinel_set.primary
    with sentinel_set.sentinels[0].client() as sentinel:
        sentinel.execute_command("SENTINEL", "FAILOVER", MASTER)
    await asyncio.to_thread(sentinel_set.await_failover, old)

    async def who_answers() -> set[int]:
        replies = await asyncio.gather(
            *(followed.execute("CONFIG", "GET", "port", idempotent=True) for _ in range(20))
        )
        return {int(reply[b"port"]) for reply in replies}

    async def new_alone() -> bool:
        return old.port not in await who_answers()

    try:
        await eventually(new_alone)
        assert await followed.execute("SET", key_prefix, 2, idempotent=True) == b"OK"
        assert await who_answers() == {sentinel_set.primary.port}
    finally:
        with old.client() as client:
            client.replicaof("127.0.0.1", sentinel_set.primary.port)  # the sentinels take longer
        await asyncio.to_thread(sentinel_set.await_ready)
