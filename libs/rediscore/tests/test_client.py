"""Client policy: bounded pools that wait, timeouts on everything, nothing sent twice by itself."""

import asyncio
import time
from urllib.parse import urlsplit

import pytest
import redis.exceptions
from rediscore.client import RedisConnections
from rediscore.settings import RedisSettings
from rediscore.testing import FaultProxy, ServerUnderTest, eventually

pytestmark = pytest.mark.proves("R1")


async def test_more_callers_than_connections_wait_for_their_turn(redis_url: str, key_prefix: str) -> None:
    connections = RedisConnections(RedisSettings.from_url(redis_url, pool_size=3, client_name=key_prefix))
    try:
        await asyncio.gather(*(connections.commands.incr(key_prefix) for _ in range(200)))

        assert await connections.commands.get(key_prefix) == b"200"
        clients = await connections.commands.client_list()
        assert sum(client["name"] == key_prefix for client in clients) <= 3
    finally:
        await connections.commands.delete(key_prefix)
        await connections.aclose()


async def test_waiting_for_a_connection_is_bounded(redis_url: str, key_prefix: str) -> None:
    settings = RedisSettings.from_url(redis_url, pool_size=1, pool_timeout=0.1)
    connections = RedisConnections(settings)
    try:
        occupant = asyncio.ensure_future(connections.commands.blpop([key_prefix], timeout=1))
        await eventually(lambda: len(connections.commands.connection_pool._in_use_connections) == 1)

        with pytest.raises(redis.exceptions.ConnectionError, match="No connection available"):
            await connections.commands.get(key_prefix)
        await occupant
    finally:
        await connections.aclose()


async def test_hanging_server_is_a_timeout_not_a_hang(redis_url: str, fault_proxy: FaultProxy) -> None:
    settings = RedisSettings.from_url(fault_proxy.url(redis_url), socket_timeout=0.2)
    connections = RedisConnections(settings)
    try:
        await connections.ping()
        fault_proxy.pause()
        started = time.monotonic()

        with pytest.raises(redis.exceptions.TimeoutError):
            await connections.commands.get("x")

        assert time.monotonic() - started < 2
    finally:
        fault_proxy.resume()
        await connections.aclose()


async def test_ping_keeps_its_own_time(redis_url: str, fault_proxy: FaultProxy) -> None:
    connections = RedisConnections(RedisSettings.from_url(fault_proxy.url(redis_url), socket_timeout=30))
    try:
        await connections.ping()
        fault_proxy.pause()

        with pytest.raises(TimeoutError):
            await connections.ping(timeout=0.1)
    finally:
        fault_proxy.resume()
        await connections.aclose()


@pytest.mark.proves("T5")
async def test_blocking_longer_than_the_socket_timeout_ends_in_its_own_time(
    redis_url: str, key_prefix: str
) -> None:
    connections = RedisConnections(RedisSettings.from_url(redis_url, socket_timeout=0.2))
    try:
        started = time.monotonic()

        assert await connections.blocking(1.0).bzpopmin(key_prefix, 1.0) is None

        assert 0.9 < time.monotonic() - started < 5
        assert connections.blocking(1.0) is connections.blocking(1.0)
    finally:
        await connections.aclose()


def test_blocking_for_ever_is_refused() -> None:
    with pytest.raises(ValueError, match="above 0"):
        RedisConnections(RedisSettings.from_url("redis://h")).blocking(0)


async def test_lost_reply_is_not_sent_again_by_itself(
    redis_url: str, key_prefix: str, fault_proxy: FaultProxy, connections: RedisConnections
) -> None:
    through_proxy = RedisConnections(RedisSettings.from_url(fault_proxy.url(redis_url)))
    try:
        await through_proxy.ping()
        fault_proxy.swallow_reply(after=b"INCR")

        with pytest.raises(redis.exceptions.ConnectionError):
            await through_proxy.commands.incr(key_prefix)

        assert fault_proxy.swallowed == 1
        assert await connections.commands.getdel(key_prefix) == b"1"
    finally:
        await through_proxy.aclose()


@pytest.mark.parametrize("kill", [False, True])
async def test_first_command_after_a_restart_succeeds(disposable_server: ServerUnderTest, kill: bool) -> None:
    """Pooled connections that went stale are noticed before use, all of them."""
    connections = RedisConnections(RedisSettings.from_url(disposable_server.url))
    try:
        await asyncio.gather(*(connections.ping() for _ in range(10)))
        await asyncio.to_thread(disposable_server.restart, kill=kill)

        await asyncio.gather(*(connections.ping() for _ in range(10)))
    finally:
        await connections.aclose()


async def test_cancelled_command_does_not_leave_its_reply_to_the_next_one(
    redis_url: str, key_prefix: str, fault_proxy: FaultProxy
) -> None:
    connections = RedisConnections(RedisSettings.from_url(fault_proxy.url(redis_url), pool_size=1))
    try:
        await connections.commands.set(key_prefix, "mine")
        fault_proxy.latency = 0.05
        for _ in range(10):
            cancelled = asyncio.ensure_future(connections.commands.echo("yours"))
            await asyncio.sleep(0.01)
            cancelled.cancel()

            assert await connections.commands.get(key_prefix) == b"mine"
    finally:
        await connections.aclose()


async def test_tls_address_speaks_tls() -> None:
    first_bytes: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first_bytes.set_result(await reader.read(3))
        writer.transport.abort()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        connections = RedisConnections(RedisSettings.from_url(f"rediss://:secret@127.0.0.1:{port}"))
        with pytest.raises(redis.exceptions.ConnectionError):
            await connections.ping()
        await connections.aclose()

    assert (await first_bytes)[:2] == b"\x16\x03"  # a TLS handshake; the password never goes in clear


async def test_everything_is_closed_at_the_end(
    redis_url: str, key_prefix: str, connections: RedisConnections
) -> None:
    closed = RedisConnections(RedisSettings.from_url(redis_url, client_name=key_prefix))
    await closed.ping()
    await closed.blocking(0.5).bzpopmin(key_prefix, 0.01)
    await closed.aclose()

    async def none_left() -> bool:
        return all(client["name"] != key_prefix for client in await connections.commands.client_list())

    await eventually(none_left)


def test_making_clients_does_no_io() -> None:
    RedisConnections(RedisSettings.from_url("redis://host.invalid:1"))


def test_password_is_not_in_the_representation(redis_url: str) -> None:
    password = urlsplit(redis_url).password
    assert password
    connections = RedisConnections(RedisSettings.from_url(redis_url))

    assert password not in repr(connections.commands)
