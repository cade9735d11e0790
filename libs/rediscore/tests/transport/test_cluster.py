"""A cluster behind the same class: commands find their node, also when slots move and nodes restart."""

import asyncio
import hashlib
from collections.abc import AsyncIterator

import pytest
import redis.exceptions
from redis.crc import key_slot
from rediscore.client import RedisConnections
from rediscore.scripts import Argument, Script
from rediscore.settings import RedisSettings
from rediscore.testing import ClusterServers, eventually
from rediscore.transport import Pool
from rediscore.transport.slots import slot_of

pytestmark = [pytest.mark.proves("R1", "CLUSTER"), pytest.mark.xdist_group("cluster")]


@pytest.fixture(params=["pool", "multiplexed"])
async def cluster(
    cluster_servers: ClusterServers, request: pytest.FixtureRequest
) -> AsyncIterator[RedisConnections]:
    made = RedisConnections(cluster_servers.settings(pool_size=8, transport=request.param))
    yield made
    await made.aclose()


@pytest.fixture
async def patient(cluster_servers: ClusterServers) -> AsyncIterator[RedisConnections]:
    """A node that restarts refuses commands for two seconds."""
    made = RedisConnections(cluster_servers.settings(retries=100, retry_budget=30, pool_size=8))
    yield made
    await made.aclose()


def owner(servers: ClusterServers, key: str) -> int:
    """Number of the primary that had the slot of `key` at the start."""
    return key_slot(key.encode()) * 3 // 16_384


@pytest.mark.parametrize(
    ("command", "key"),
    [
        (("GET", "k"), "k"),
        (("get", b"k"), "k"),
        (("EVALSHA", "sha", 2, "k", "l", "argument"), "k"),
        (("EVAL", "source", "0"), None),
        (("XREADGROUP", "GROUP", "g", "c", "COUNT", 1, "STREAMS", "k", ">"), "k"),
        (("XREAD", "BLOCK", 5, "streams", "k", "$"), "k"),
        (("XINFO STREAM", "k"), "k"),
        (("MEMORY", "USAGE", "k"), "k"),
        (("BZMPOP", 1, 1, "k", "MIN"), "k"),
        (("ZUNION", 2, "k", "l"), "k"),
        (("PUBLISH", "channel", "k"), None),
        (("SCRIPT LOAD", "source"), None),
        (("INFO",), None),
        (("GET", 7), "7"),
    ],
)
def test_the_first_key_decides(command: tuple[Argument, ...], key: str | None) -> None:
    assert slot_of(command) == (None if key is None else key_slot(key.encode()))


async def test_commands_find_the_node_of_their_key(cluster: RedisConnections, key_prefix: str) -> None:
    keys = [f"{key_prefix}:{number}" for number in range(200)]

    await asyncio.gather(*(cluster.execute("SET", key, key) for key in keys))

    assert await asyncio.gather(*(cluster.execute("GET", key) for key in keys)) == [
        key.encode() for key in keys
    ]
    sizes = [await primary.execute("DBSIZE") for primary in await cluster.primaries()]
    assert len(sizes) == 3
    assert all(sizes)
    found = {key async for key in cluster.scan_keys(f"{key_prefix}:*", count=20)}
    assert found == {key.encode() for key in keys}
    with pytest.raises(ValueError, match="scan_keys"):
        cluster.commands.scan_iter(match=f"{key_prefix}:*")
    with pytest.raises(ValueError, match="scan_keys"):
        await cluster.execute("SCAN", 0)
    assert {endpoint.address for endpoint in await cluster.endpoints()} == set(cluster.settings.cluster_nodes)


async def test_one_node_is_enough_to_find_the_others(
    cluster_servers: ClusterServers, key_prefix: str
) -> None:
    first = cluster_servers.servers[0]
    made = RedisConnections(RedisSettings.from_url(first.url, cluster=True))
    dead_first = RedisConnections(
        RedisSettings(cluster_nodes=f"127.0.0.1:1,127.0.0.1:{first.port}", password=first.password, retries=0)
    )
    try:
        for number in range(20):
            await made.execute("SET", f"{key_prefix}:{number}", "x", "EX", 60)
            assert await dead_first.execute("GET", f"{key_prefix}:{number}") == b"x"
    finally:
        await made.aclose()
        await dead_first.aclose()


async def test_no_node_answers() -> None:
    made = RedisConnections(RedisSettings(cluster_nodes="127.0.0.1:1,127.0.0.1:2", retries=1))
    try:
        with pytest.raises(redis.exceptions.ConnectionError, match=r"127\.0\.0\.1:2"):
            await made.execute("GET", "k", idempotent=True)
    finally:
        await made.aclose()


async def test_scripts_run_where_their_keys_are(cluster: RedisConnections, key_prefix: str) -> None:
    source = "return redis.call('INCRBY', KEYS[1], ARGV[1]) + redis.call('INCR', KEYS[2])"
    script = Script("add", source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest())

    for number in range(12):  # spread over all nodes, none of which knows it yet
        tag = f"{key_prefix}:{{{number}}}"
        assert await script(cluster, keys=[f"{tag}:a", f"{tag}:b"], args=[5]) == 6

    with pytest.raises(redis.exceptions.ResponseError, match="slot"):
        await script(cluster, keys=["{one}", "{two}"], args=[1])


async def test_a_slot_that_was_moved_is_followed(
    cluster: RedisConnections, cluster_servers: ClusterServers, key_prefix: str
) -> None:
    slot = key_slot(key_prefix.encode())
    old = owner(cluster_servers, key_prefix)
    await cluster.execute("GET", key_prefix)
    cluster_servers.move_slot(slot, (old + 1) % 3)
    try:
        assert await cluster.execute("SET", key_prefix, "moved") == b"OK"
        assert await cluster.commands.get(key_prefix) == b"moved"
        async with cluster.commands.pipeline() as pipeline:
            pipeline.get(key_prefix)
            pipeline.delete(key_prefix)
            assert await pipeline.execute() == [b"moved", 1]
    finally:
        cluster_servers.move_slot(slot, old)

    async with cluster.commands.pipeline() as pipeline:  # the first to hear of it is a transaction
        pipeline.set(key_prefix, "back")
        pipeline.delete(key_prefix)
        assert await pipeline.execute() == [True, 1]


async def test_a_slot_on_its_way_is_asked_for_on_both_sides(
    cluster: RedisConnections, cluster_servers: ClusterServers, key_prefix: str
) -> None:
    """What the old node does not have any more is looked for at the new one (ASK), many at a time:
    ASKING must go over the same connection as the command that it is for."""
    slot = key_slot(key_prefix.encode())
    old = cluster_servers.servers[owner(cluster_servers, key_prefix)]
    new = cluster_servers.servers[(owner(cluster_servers, key_prefix) + 1) % 3]
    ids = [bytes(await _ask(cluster, server.port, "CLUSTER", "MYID")).decode() for server in (old, new)]
    await _ask(cluster, new.port, "CLUSTER", "SETSLOT", slot, "IMPORTING", ids[0])
    await _ask(cluster, old.port, "CLUSTER", "SETSLOT", slot, "MIGRATING", ids[1])
    try:
        answers = await asyncio.gather(*(cluster.execute("INCR", key_prefix) for _ in range(100)))
        assert sorted(answers) == list(range(1, 101))
        assert await cluster.commands.getdel(key_prefix) == b"100"
        async with cluster.commands.pipeline() as pipeline:
            pipeline.get(key_prefix)
            with pytest.raises(redis.exceptions.ConnectionError, match="on its way"):
                await pipeline.execute()
    finally:
        for server in (new, old):
            await _ask(cluster, server.port, "CLUSTER", "SETSLOT", slot, "STABLE")


async def _ask(cluster: RedisConnections, port: int, *command: Argument) -> bytes:
    for endpoint, primary in zip(await cluster.endpoints(), await cluster.primaries(), strict=True):
        if endpoint.address[1] == port:
            return bytes(await primary.execute(*command))
    raise AssertionError(port)


async def test_blocking_finds_its_node(cluster: RedisConnections, key_prefix: str) -> None:
    waiting = [asyncio.ensure_future(cluster.blocking(5).bzpopmin(f"{key_prefix}:{n}", 5)) for n in range(6)]
    await asyncio.sleep(0.05)

    for number in range(6):
        await cluster.execute("ZADD", f"{key_prefix}:{number}", 1, "member")

    popped = await asyncio.gather(*waiting)
    assert [row and row[0] for row in popped] == [f"{key_prefix}:{number}".encode() for number in range(6)]


async def test_blocked_on_a_slot_that_moves(cluster_servers: ClusterServers, key_prefix: str) -> None:
    """It hears of it after longer than the socket timeout."""
    cluster = RedisConnections(cluster_servers.settings(socket_timeout=0.3, retries=20))
    slot, old = key_slot(key_prefix.encode()), owner(cluster_servers, key_prefix)
    waiting = asyncio.ensure_future(cluster.blocking(20).bzpopmin(key_prefix, 20))
    await asyncio.sleep(0.5)
    cluster_servers.move_slot(slot, (old + 1) % 3)
    try:
        await cluster.execute("ZADD", key_prefix, 1, "member", idempotent=True)
        popped = await waiting
        assert popped is not None
        assert popped[1] == b"member"
    finally:
        await cluster.execute("DEL", key_prefix, idempotent=True)
        cluster_servers.move_slot(slot, old)
        await cluster.aclose()


async def test_pipelines_and_subscriptions(cluster: RedisConnections, key_prefix: str) -> None:
    async with cluster.commands.pipeline(transaction=False) as pipeline:
        pipeline.set(f"{{{key_prefix}}}:a", 1)
        pipeline.incr(f"{{{key_prefix}}}:a")
        assert await pipeline.execute() == [True, 2]
    async with cluster.commands.pipeline() as pipeline:
        await pipeline.watch(f"{{{key_prefix}}}:a")
        assert await pipeline.get(f"{{{key_prefix}}}:a") == b"2"
        pipeline.multi()  # type: ignore[no-untyped-call]
        pipeline.delete(f"{{{key_prefix}}}:a")
        assert await pipeline.execute() == [1]
    async with cluster.commands.pipeline() as pipeline:
        pipeline.get("{one}")
        pipeline.get("{two}")
        with pytest.raises(ValueError, match="same hash tag"):
            await pipeline.execute()

    async with cluster.blocking(5).pubsub() as pubsub:
        await pubsub.subscribe(key_prefix)
        await pubsub.get_message(timeout=5)
        await cluster.execute("PUBLISH", key_prefix, "heard")  # at any node
        message = await pubsub.get_message(timeout=5)
        assert message is not None
        assert message["data"] == b"heard"


@pytest.mark.proves("T2", "T4")
async def test_many_callers_and_cancellations(cluster: RedisConnections, key_prefix: str) -> None:
    made = [asyncio.ensure_future(cluster.execute("ECHO", str(number))) for number in range(1000)]
    keyed = [
        asyncio.ensure_future(cluster.execute("INCR", f"{key_prefix}:{number % 50}"))
        for number in range(1000)
    ]
    for turn in range(10):
        await asyncio.sleep(0)
        for task in made[turn::30]:
            task.cancel()

    answers = await asyncio.gather(*made, return_exceptions=True)
    assert all(
        isinstance(answer, asyncio.CancelledError) or answer == str(number).encode()
        for number, answer in enumerate(answers)
    )
    assert sum(answer == 20 for answer in await asyncio.gather(*keyed)) == 50
    pool = cluster.commands.connection_pool
    assert isinstance(pool, Pool)
    assert pool.in_use == 0
    async with cluster.blocking(5).pubsub() as pubsub:
        await pubsub.subscribe(key_prefix)
        held = cluster.blocking(5).connection_pool
        assert isinstance(held, Pool)
        assert held.in_use == 1
    assert held.in_use == 0


@pytest.mark.proves("T3")
async def test_a_node_that_restarts_is_waited_for(
    patient: RedisConnections, cluster_servers: ClusterServers, key_prefix: str
) -> None:
    """It refuses connections, then answers CLUSTERDOWN for two seconds; the others go on."""
    victim = cluster_servers.servers[1]
    stop = asyncio.Event()
    done = [0, 0, 0]

    async def load(number: int) -> None:
        key = f"{key_prefix}:{number}"
        while not stop.is_set():
            await patient.execute("SET", key, number, idempotent=True)
            assert await patient.execute("GET", key, idempotent=True) == str(number).encode()
            done[owner(cluster_servers, key)] += 1

    tasks = [asyncio.ensure_future(load(number)) for number in range(12)]
    try:
        await eventually(lambda: all(done), within=40)
        await asyncio.to_thread(victim.kill)
        before = list(done)
        await eventually(lambda: done[0] > before[0] + 50 and done[2] > before[2] + 50, within=40)
        assert done[1] <= before[1] + 12
        await asyncio.to_thread(victim.start)
        before = list(done)
        await eventually(lambda: done[1] > before[1] + 50, within=30)
    finally:
        stop.set()
        await asyncio.to_thread(victim.start)
        await asyncio.gather(*tasks)
