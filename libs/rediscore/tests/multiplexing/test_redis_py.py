"""The private parts of redis-py that we touch: a new redis-py that lacks one fails here, by name."""

import asyncio
import gc

import pytest
import redis.exceptions
from redis._parsers.base import BaseParser
from rediscore.client import RedisConnections
from rediscore.multiplexing._redis_py import give_up, parse_error, take_over
from rediscore.settings import RedisSettings
from rediscore.testing import FaultProxy
from rediscore.transport import Endpoint

pytestmark = pytest.mark.proves("R1")


def test_parse_error_gives_redis_pys_exceptions() -> None:
    assert hasattr(BaseParser, "parse_error"), "redis._parsers.base.BaseParser.parse_error is gone"
    for text, kind in {
        "NOSCRIPT No matching script.": redis.exceptions.NoScriptError,
        "READONLY You can't write.": redis.exceptions.ReadOnlyError,
        "MOVED 1 127.0.0.1:7": redis.exceptions.MovedError,
        "LOADING Redis is loading": redis.exceptions.BusyLoadingError,
        "ERR what": redis.exceptions.ResponseError,
    }.items():
        assert type(parse_error(text)) is kind


async def test_a_connection_has_a_writer_with_a_transport_and_does_not_miss_it(redis_url: str) -> None:
    heard = asyncio.get_running_loop().create_future()

    class Listener(asyncio.Protocol):
        def data_received(self, data: bytes) -> None:
            heard.set_result(data)

    connection = Endpoint(RedisSettings.from_url(redis_url)).connection()
    assert hasattr(connection, "_writer"), "redis.asyncio.Connection._writer is gone"
    transport = await take_over(connection, Listener())
    assert connection._writer is not None
    assert connection._writer.transport is transport, "StreamWriter.transport is another one"
    transport.write(b"PING\r\n")
    assert await asyncio.wait_for(heard, 5) == b"+PONG\r\n", "HELLO and AUTH were redis-py's"

    give_up(connection)
    give_up(connection)
    assert transport.is_closing()
    assert getattr(connection, "_writer", 0) is None, "redis-py would warn of an unclosed connection"
    del connection, transport
    gc.collect()


async def test_a_connection_that_ends_at_once_is_refused_and_closed(
    redis_url: str, fault_proxy: FaultProxy
) -> None:
    connection = Endpoint(RedisSettings.from_url(fault_proxy.url(redis_url))).connection()
    connect = connection.connect

    async def and_lose_it() -> None:
        await connect()
        fault_proxy.reset()
        await asyncio.sleep(0.1)

    connection.connect = and_lose_it  # type: ignore[method-assign]
    with pytest.raises(redis.exceptions.ConnectionError):
        await take_over(connection, asyncio.Protocol())
    assert connection._writer is None


async def test_the_handshake_is_redis_pys(redis_url: str, key_prefix: str) -> None:
    settings = RedisSettings.from_url(
        redis_url.removesuffix("/0") + "/3", transport="multiplexed", client_name=key_prefix
    )
    connections = RedisConnections(settings)
    try:
        info = (await connections.execute("CLIENT", "INFO")).decode()
        assert f"name={key_prefix} " in info
        assert " db=3 " in info
        assert " resp=3" in info
    finally:
        await connections.aclose()
