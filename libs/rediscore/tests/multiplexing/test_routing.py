"""What may share the connection, what goes through the pool, and what is refused."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import redis.exceptions
from rediscore.client import RedisConnections
from rediscore.multiplexing import NotMultiplexedError
from rediscore.multiplexing.routing import SHARED, shares
from rediscore.scripts import Argument


@pytest.fixture(autouse=True)
async def _shared_id(shared: RedisConnections) -> AsyncIterator[None]:
    yield
    # Whatever a test did: the connection is the same and in step.
    assert await shared.execute("ECHO", "in step") == b"in step"


@pytest.mark.proves("R1")
@pytest.mark.parametrize(
    "command",
    [
        ("MULTI",), ("EXEC",), ("watch", "k"), ("SELECT", 1), ("AUTH", "x"), ("HELLO", 3), ("MONITOR",),
        ("SUBSCRIBE", "c"), (b"psubscribe", "c"), ("SSUBSCRIBE", "c"), ("WAIT", 1, 0), ("RESET",), ("QUIT",),
        ("CLIENT", "REPLY", "OFF"), ("client", b"no-evict", "on"), ("CLIENT TRACKING", "ON"),
        ("CLIENT", "SETNAME", "x"), ("SCRIPT", "DEBUG", "YES"), ("READONLY",),
    ],
    ids=lambda command: str(command[0]) + "-" + str(command[1] if len(command) > 1 else ""),
)  # fmt: skip
async def test_what_changes_the_connection_is_refused(
    shared: RedisConnections, command: tuple[Argument, ...]
) -> None:
    with pytest.raises(NotMultiplexedError, match="many callers share"):
        await shared.execute(*command)


@pytest.mark.proves("R1")
async def test_who_blocks_delays_nobody(
    shared: RedisConnections, connections: RedisConnections, key_prefix: str
) -> None:
    stream = f"{key_prefix}:stream"
    blocked = [
        asyncio.ensure_future(shared.execute("BLPOP", f"{key_prefix}:a", 5)),
        asyncio.ensure_future(shared.execute("bzpopmin", f"{key_prefix}:b", 5)),
        asyncio.ensure_future(shared.execute("XREAD", "COUNT", 1, "BLOCK", 5000, "STREAMS", stream, "$")),
    ]
    await asyncio.sleep(0.05)
    assert await shared.execute("PING") == b"PONG"
    assert not any(task.done() for task in blocked)
    await connections.execute("RPUSH", f"{key_prefix}:a", "1")
    await connections.execute("ZADD", f"{key_prefix}:b", 1, "m")
    await connections.execute("XADD", stream, "*", "f", "v")
    popped, lowest, read = await asyncio.gather(*blocked)
    assert popped == [f"{key_prefix}:a".encode(), b"1"]
    assert lowest[1] == b"m"
    assert read
    await connections.execute("DEL", stream)


def test_a_stream_named_block_does_not_block() -> None:
    assert shares(("XREAD", "COUNT", 1, "STREAMS", "BLOCK", "0"))
    assert not shares(("XREADGROUP", "GROUP", "g", "c", "block", 0, "STREAMS", "s", ">"))
    assert not {"XREAD", "XREADGROUP", "CLIENT", "SCRIPT"} & SHARED


@pytest.mark.proves("R1")
async def test_large_values_take_the_pool(
    shared: RedisConnections, connections: RedisConnections, key_prefix: str
) -> None:
    await shared.execute("SET", key_prefix, "small")
    ours = [c for c in await connections.commands.client_list() if c["name"] == key_prefix]
    value = "x" * 1_000_000
    await shared.execute("SET", key_prefix, value, "PX", 10_000)
    with_pool = [c for c in await connections.commands.client_list() if c["name"] == key_prefix]

    assert (len(ours), len(with_pool)) == (1, 2)
    assert await shared.execute("GETDEL", key_prefix) == value.encode()


@pytest.mark.parametrize("argument", [None, True, ["x"], object()])
async def test_what_is_no_argument_is_refused_before_it_is_sent(
    shared: RedisConnections, argument: object
) -> None:
    for _ in range(2):  # with and without a connection
        with pytest.raises(redis.exceptions.DataError):
            await shared.execute("SET", "k", argument)  # type: ignore[arg-type]
        await shared.execute("PING")


@pytest.mark.proves("R1")
async def test_replies_are_those_of_the_pool(
    shared: RedisConnections, connections: RedisConnections, key_prefix: str
) -> None:
    k = key_prefix
    commands: list[tuple[Argument, ...]] = [
        ("SET", k, 1), ("GET", k), ("GET", f"{k}:none"), ("INCRBYFLOAT", k, 0.5), ("TYPE", k), ("TTL", k),
        ("HSET", f"{k}:h", "a", 1, b"\xff", "é"), ("HGETALL", f"{k}:h"), ("ZADD", f"{k}:z", 1.5, "m"),
        ("ZRANGE", f"{k}:z", 0, -1, "WITHSCORES"), ("ZSCORE", f"{k}:z", "m"), ("SADD", f"{k}:s", "x"),
        ("SMEMBERS", f"{k}:s"), ("SISMEMBER", f"{k}:s", "x"), ("CONFIG GET", "maxmemory-policy"),
        ("EVAL", "return {1, 'a', false, {ok='fine'}, redis.error_reply('ERR inner')}", 0),
        ("EVAL", "redis.setresp(3) return {map={a=true}}", 0), ("EXISTS", k), ("DEL", k, f"{k}:h"),
        ("XADD", f"{k}:x", "1-1", "f", "v"), ("XRANGE", f"{k}:x", "-", "+"), ("PING",), ("ECHO", ""),
        ("HGETALL", f"{k}:x"), ("EVALSHA", "0" * 40, 0), ("GET",), ("OBJECT ENCODING", f"{k}:z"),
    ]  # fmt: skip

    async def told(through: RedisConnections) -> list[str]:
        answers = []
        for command in commands:
            try:
                answers.append(repr(await through.execute(*command)))
            except redis.exceptions.ResponseError as refusal:
                answers.append(f"{type(refusal)} {refusal}")
        await through.execute("DEL", f"{k}:z", f"{k}:s", f"{k}:x")
        return answers

    assert await told(shared) == await told(connections)
