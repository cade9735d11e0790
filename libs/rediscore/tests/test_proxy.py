"""The proxy of the test kit does what it says, and only that."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
import redis.exceptions
from rediscore.client import RedisConnections
from rediscore.settings import RedisSettings
from rediscore.testing import FaultProxy, eventually

pytestmark = pytest.mark.proves("R22")


@pytest.fixture
async def through(redis_url: str, fault_proxy: FaultProxy) -> AsyncIterator[RedisConnections]:
    made = RedisConnections(RedisSettings.from_url(fault_proxy.url(redis_url), socket_timeout=1))
    yield made
    await made.aclose()


async def test_forwards_large_values_unchanged(through: RedisConnections, key_prefix: str) -> None:
    value = bytes(range(256)) * 4096
    await through.commands.set(key_prefix, value)

    assert await through.commands.getdel(key_prefix) == value


async def test_latency(through: RedisConnections, fault_proxy: FaultProxy) -> None:
    await through.ping()
    fault_proxy.latency = 0.1
    started = time.monotonic()

    await through.ping()

    assert time.monotonic() - started >= 0.1


async def test_swallowed_reply_belongs_to_a_request_that_was_done(
    through: RedisConnections, connections: RedisConnections, fault_proxy: FaultProxy, key_prefix: str
) -> None:
    await through.ping()
    fault_proxy.swallow_reply(after=b"SET")

    with pytest.raises(redis.exceptions.ConnectionError):
        await through.commands.set(key_prefix, "done")

    assert fault_proxy.swallowed == 1
    assert await connections.commands.getdel(key_prefix) == b"done"
    await through.ping()  # once only


async def test_several_replies_are_swallowed(
    through: RedisConnections, connections: RedisConnections, fault_proxy: FaultProxy, key_prefix: str
) -> None:
    await through.ping()
    fault_proxy.swallow_reply(after=b"INCR", count=2)

    assert await through.execute("INCR", key_prefix, idempotent=True) == 3

    assert fault_proxy.swallowed == 2
    await connections.execute("DEL", key_prefix)


async def test_delayed_reply_belongs_to_a_request_that_was_done(
    through: RedisConnections, connections: RedisConnections, fault_proxy: FaultProxy, key_prefix: str
) -> None:
    await through.ping()
    fault_proxy.delay_reply(0.3, after=b"SET")
    setting = asyncio.ensure_future(through.execute("SET", key_prefix, "x"))

    await eventually(lambda: fault_proxy.delayed == 1)

    assert await connections.execute("GETDEL", key_prefix) == b"x"
    assert not setting.done()
    assert await setting == b"OK"


async def test_reset_breaks_what_is_open_and_welcomes_new(
    through: RedisConnections, fault_proxy: FaultProxy, key_prefix: str
) -> None:
    blocked = asyncio.ensure_future(through.blocking(5).bzpopmin(key_prefix, 5))
    await through.ping()
    await eventually(lambda: len(fault_proxy.links) == 2)

    fault_proxy.reset()

    with pytest.raises(redis.exceptions.ConnectionError):
        await blocked
    await through.ping()


async def test_cut_refuses_until_restored(through: RedisConnections, fault_proxy: FaultProxy) -> None:
    await through.ping()
    fault_proxy.cut()
    with pytest.raises(redis.exceptions.ConnectionError):
        await through.ping()

    fault_proxy.restore()

    await through.ping()


async def test_pause_holds_back_and_resume_delivers(
    through: RedisConnections, fault_proxy: FaultProxy
) -> None:
    await through.ping()
    fault_proxy.pause()
    waiting = asyncio.create_task(through.ping(timeout=5))
    done, _ = await asyncio.wait({waiting}, timeout=0.1)
    assert not done

    fault_proxy.resume()

    await waiting
