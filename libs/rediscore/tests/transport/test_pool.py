"""The pool under fault: nothing is sent twice by itself, nothing leaks, nothing gets out of step."""

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from importlib import resources

import pytest
import redis.exceptions
from rediscore.client import RedisConnections
from rediscore.requests import request_id
from rediscore.scripts import Script
from rediscore.settings import RedisSettings
from rediscore.testing import FaultProxy, ServerUnderTest, eventually, patient_settings
from rediscore.transport import Pool

_SOURCE = (resources.files("rediscore") / "lua" / "once.lua").read_text() + (
    "return once(KEYS[2], ARGV[1], function() return redis.call('INCR', KEYS[1]) end)"
)
COUNT = Script("count", _SOURCE, hashlib.sha1(_SOURCE.encode(), usedforsecurity=False).hexdigest())


@pytest.fixture
async def through(redis_url: str, fault_proxy: FaultProxy) -> AsyncIterator[RedisConnections]:
    made = RedisConnections(RedisSettings.from_url(fault_proxy.url(redis_url), socket_timeout=1))
    yield made
    await made.aclose()


def pool_of(connections: RedisConnections) -> Pool:
    pool = connections.commands.connection_pool
    assert isinstance(pool, Pool)
    return pool


async def count(connections: RedisConnections, key: str) -> int:
    """Once, however often it is sent."""
    keys = [key, f"{key}:{request_id()}"]
    return int(await COUNT(connections, keys=keys, args=[60_000], idempotent=True))


@pytest.mark.proves("R1", "T1")
@pytest.mark.parametrize("nth", range(6))
async def test_a_command_whose_reply_is_lost_was_done_once_or_raises(
    through: RedisConnections,
    connections: RedisConnections,
    fault_proxy: FaultProxy,
    key_prefix: str,
    nth: int,
) -> None:
    """Six increments; the reply to any one of them is lost."""
    raised = 0
    for number in range(6):
        if number == nth:
            fault_proxy.swallow_reply(after=b"INCR")
        try:
            await through.execute("INCR", key_prefix)
        except redis.exceptions.ConnectionError:
            raised += 1

    assert (fault_proxy.swallowed, raised) == (1, 1)
    assert await connections.execute("GETDEL", key_prefix) == b"6"


@pytest.mark.proves("R1", "R21", "T1")
@pytest.mark.parametrize("nth", range(6))
async def test_a_script_with_a_request_id_counts_once_though_its_reply_is_lost(
    through: RedisConnections,
    connections: RedisConnections,
    fault_proxy: FaultProxy,
    key_prefix: str,
    nth: int,
) -> None:
    await connections.execute("SCRIPT", "LOAD", COUNT.source)
    answers = []
    for number in range(6):
        if number == nth:
            fault_proxy.swallow_reply(after=b"EVALSHA")
        answers.append(await count(through, key_prefix))

    assert fault_proxy.swallowed == 1
    assert answers == [1, 2, 3, 4, 5, 6]
    await connections.execute("DEL", key_prefix)


@pytest.mark.proves("R1", "T2")
async def test_cancelled_at_any_await_nothing_leaks_and_no_reply_goes_astray(
    redis_url: str, key_prefix: str, fault_proxy: FaultProxy, connections: RedisConnections
) -> None:
    """3600 commands, each in a task that is cancelled after a random number of turns of the event loop,
    while connections are broken now and then. Whoever gets an answer gets his own."""
    dice = random.Random(7)
    made = RedisConnections(patient_settings(fault_proxy.url(redis_url), pool_size=4, client_name=key_prefix))
    pool = pool_of(made)
    answered = cancelled = 0

    async def echo(mine: bytes) -> bytes:
        kind = dice.randrange(3)
        if kind == 0:
            said: bytes = await made.commands.execute_command("ECHO", mine)  # type: ignore[no-untyped-call]
            return said
        if kind == 1:
            async with made.commands.pipeline() as pipeline:
                pipeline.echo(mine)
                return bytes((await pipeline.execute())[0])
        return bytes(await made.execute("ECHO", mine))

    async def one(number: int) -> None:
        nonlocal answered, cancelled
        mine = f"{number}".encode()
        task = asyncio.ensure_future(echo(mine))
        for _ in range(dice.choice([0, 1, 2, 3, 5, 8, 20, 60, 10_000])):
            if task.done():
                break
            await asyncio.sleep(0)
        task.cancel()
        try:
            assert await task == mine
            answered += 1
        except asyncio.CancelledError:
            cancelled += 1
        except redis.exceptions.ConnectionError:
            pass  # broken by the test

    try:
        for batch in range(100):
            await asyncio.gather(*(one(batch * 30 + number) for number in range(30)))
            if batch % 20 == 9:
                fault_proxy.reset()

        assert answered > 50
        assert cancelled > 50
        assert pool.in_use == 0
        texts = [str(number).encode() for number in range(200)]
        assert await asyncio.gather(*(made.execute("ECHO", text) for text in texts)) == texts
        assert pool.in_use == 0
        clients = bytes(await connections.execute("CLIENT", "LIST"))
        assert clients.count(f"name={key_prefix} ".encode()) <= 4
    finally:
        await made.aclose()


@pytest.mark.proves("T2")
async def test_a_connection_given_to_a_cancelled_waiter_goes_to_the_next(redis_url: str) -> None:
    made = RedisConnections(RedisSettings.from_url(redis_url, pool_size=1, pool_timeout=5))
    pool = pool_of(made)
    try:
        held = await pool.get_connection()
        first, second = (asyncio.ensure_future(made.execute("ECHO", text)) for text in "ab")
        await asyncio.sleep(0)

        await pool.release(held)  # handed to the first, which is cancelled before it wakes
        first.cancel()

        assert await second == b"b"
        assert pool.in_use == 0
    finally:
        await made.aclose()


@pytest.mark.proves("R1", "T3")
@pytest.mark.parametrize("fault", ["forget scripts", "kill clients", "restart"])
async def test_idempotent_load_does_not_notice(disposable_server: ServerUnderTest, fault: str) -> None:
    """Twenty tasks read, write and run scripts; a fault in the middle costs time, nothing else."""
    made = RedisConnections(
        RedisSettings.from_url(
            disposable_server.url, pool_size=8, retries=60, retry_budget=30, pool_timeout=10
        )
    )
    stop = asyncio.Event()
    done = 0

    async def load(name: str) -> int:
        nonlocal done
        turns = 0
        while not stop.is_set():
            turns += 1
            await made.execute("SET", name, turns, idempotent=True)
            assert await made.execute("GET", name, idempotent=True) == str(turns).encode()
            assert await count(made, f"{name}:count") == turns
            done += 1
        return turns

    async def some_more() -> None:
        enough = done + 100
        await eventually(lambda: done > enough, within=40)

    async def restart() -> None:
        await asyncio.to_thread(disposable_server.restart)

    async def twice(command: tuple[str, ...]) -> None:
        for _ in range(2):
            await made.execute(*command, idempotent=True)
            await some_more()

    faults: dict[str, Callable[[], Awaitable[None]]] = {
        "forget scripts": lambda: twice(("SCRIPT", "FLUSH")),
        "kill clients": lambda: twice(("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "no")),
        "restart": restart,
    }
    try:
        tasks = [asyncio.ensure_future(load(f"load-{number}")) for number in range(20)]
        await some_more()
        await faults[fault]()
        await some_more()
        stop.set()
        turns = await asyncio.gather(*tasks)

        assert min(turns) > 1
        assert pool_of(made).in_use == 0
    finally:
        stop.set()
        await made.aclose()


@pytest.mark.proves("R1", "T4")
async def test_a_thousand_callers_at_once_find_a_connection(redis_url: str, key_prefix: str) -> None:
    made = RedisConnections(patient_settings(redis_url, pool_size=8))
    try:
        answers = await asyncio.gather(*(made.execute("INCR", key_prefix) for _ in range(1000)))

        assert sorted(answers) == list(range(1, 1001))
        assert len(pool_of(made)._available_connections) <= 8
        await made.execute("DEL", key_prefix)
    finally:
        await made.aclose()


@pytest.mark.proves("R1")
async def test_those_who_wait_are_served_in_the_order_in_which_they_came(redis_url: str) -> None:
    made = RedisConnections(patient_settings(redis_url, pool_size=1))
    order: list[int] = []

    async def caller(number: int) -> None:
        await made.execute("PING")
        order.append(number)

    try:
        await asyncio.gather(*(caller(number) for number in range(50)))

        assert order == list(range(50))
    finally:
        await made.aclose()


@pytest.mark.proves("R1")
async def test_closing_fails_those_who_wait_and_leaves_no_connection(
    redis_url: str, key_prefix: str, connections: RedisConnections
) -> None:
    made = RedisConnections(patient_settings(redis_url, pool_size=1, client_name=key_prefix))
    await made.ping()
    sleeping = asyncio.ensure_future(made.execute("BLPOP", key_prefix, 5))
    waiting = asyncio.ensure_future(made.execute("PING"))
    await asyncio.sleep(0)
    await eventually(lambda: pool_of(made).in_use == 1)

    await made.aclose()

    for task in (sleeping, waiting):
        with pytest.raises(redis.exceptions.ConnectionError):
            await task
    with pytest.raises(redis.exceptions.ConnectionError, match="closed"):
        await made.execute("PING")

    async def gone() -> bool:
        return key_prefix.encode() not in bytes(await connections.execute("CLIENT", "LIST"))

    await eventually(gone)


@pytest.mark.proves("R1")
async def test_a_server_that_became_a_replica_is_left(disposable_server: ServerUnderTest) -> None:
    """READONLY is no answer to the command: the connection is dropped, an idempotent caller goes on."""
    made = RedisConnections(patient_settings(disposable_server.url, retries=0))
    patient = RedisConnections(patient_settings(disposable_server.url, retries=60, retry_budget=20))
    try:
        await made.execute("SET", "k", 1)
        await made.execute("REPLICAOF", "127.0.0.1", 1)

        with pytest.raises(redis.exceptions.ConnectionError, match="replica now"):
            await made.execute("SET", "k", 2, idempotent=True)

        assert not pool_of(made)._available_connections[0].is_connected
        writing = asyncio.ensure_future(patient.execute("SET", "k", 3, idempotent=True))
        await asyncio.sleep(0.1)
        assert not writing.done()
        await made.execute("REPLICAOF", "NO", "ONE")
        assert await writing == b"OK"
    finally:
        await made.aclose()
        await patient.aclose()


@pytest.mark.proves("R1")
async def test_connecting_is_bounded_from_the_address_to_the_end_of_the_handshake() -> None:
    """A server that accepts and says nothing."""

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.transport.abort()

    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        made = RedisConnections(
            RedisSettings.from_url(f"redis://:x@127.0.0.1:{port}", connect_timeout=0.2, socket_timeout=30)
        )
        try:
            async with asyncio.timeout(5):
                with pytest.raises(redis.exceptions.TimeoutError, match="connecting"):
                    await made.execute("PING")
        finally:
            await made.aclose()
