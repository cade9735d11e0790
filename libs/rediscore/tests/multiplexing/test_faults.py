"""What the network and the server do: lost replies, cuts, silence, restarts, a wrong password."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable

import pytest
import redis.exceptions
from rediscore.client import RedisConnections
from rediscore.multiplexing import Multiplexer
from rediscore.scripts import Script
from rediscore.settings import RedisSettings
from rediscore.testing import FaultProxy, ServerUnderTest, eventually, patient_settings

TIMEOUT = 0.5  # of `flaky`


async def outcomes(asked: list[Awaitable[object]]) -> list[object]:
    return list(await asyncio.gather(*asked, return_exceptions=True))


@pytest.mark.proves("T1")
async def test_a_lost_reply_fails_all_who_wait_and_nothing_is_sent_again(
    flaky: RedisConnections, connections: RedisConnections, key_prefix: str, fault_proxy: FaultProxy
) -> None:
    fault_proxy.swallow_reply(after=b"INCR")

    failed = await outcomes([flaky.execute("INCR", key_prefix) for _ in range(20)])

    assert fault_proxy.swallowed == 1
    assert all(isinstance(error, redis.exceptions.ConnectionError) for error in failed)
    assert await flaky.execute("PING") == b"PONG"
    assert await connections.execute("GETDEL", key_prefix) == b"20"


@pytest.mark.proves("T1")
async def test_what_may_be_sent_twice_survives_a_lost_reply(
    flaky: RedisConnections, key_prefix: str, fault_proxy: FaultProxy
) -> None:
    fault_proxy.swallow_reply(after=b"ECHO")

    answers = await asyncio.gather(*(flaky.execute("ECHO", n, idempotent=True) for n in range(50)))

    assert fault_proxy.swallowed == 1
    assert answers == [str(n).encode() for n in range(50)]


@pytest.mark.proves("T1")
async def test_a_cut_fails_commands_until_it_ends(flaky: RedisConnections, fault_proxy: FaultProxy) -> None:
    fault_proxy.cut()
    with pytest.raises(redis.exceptions.ConnectionError):
        await flaky.execute("PING")
    fault_proxy.restore()

    assert await flaky.execute("PING", idempotent=True) == b"PONG"


@pytest.mark.proves("T1")
async def test_a_hanging_network_ends_every_command_within_the_timeout(
    flaky: RedisConnections, fault_proxy: FaultProxy
) -> None:
    fault_proxy.pause()
    started = time.monotonic()

    failed = await outcomes([flaky.execute("ECHO", n) for n in range(100)])

    assert TIMEOUT <= time.monotonic() - started < 10  # one after the other they take 50 s
    assert all(isinstance(error, redis.exceptions.TimeoutError) for error in failed)
    fault_proxy.resume()
    assert await flaky.execute("ECHO", "after") == b"after"


@pytest.mark.proves("T1")
async def test_progress_of_others_does_not_keep_a_late_command_waiting(
    flaky: RedisConnections, key_prefix: str, fault_proxy: FaultProxy
) -> None:
    """The timeout is of each command, not of the time between two replies."""
    await flaky.execute("SET", key_prefix, "x" * 60_000, "PX", 30_000)
    fault_proxy.latency = 0.15  # about one reply each, so the last would come after 9 s
    started = time.monotonic()

    results = await outcomes([flaky.execute("GET", key_prefix) for _ in range(60)])

    assert time.monotonic() - started < 6
    assert results[0] == b"x" * 60_000
    assert isinstance(results[-1], redis.exceptions.TimeoutError)


async def test_time_in_which_the_process_stands_still_is_not_the_servers(
    flaky: RedisConnections, fault_proxy: FaultProxy
) -> None:
    before = await flaky.execute("CLIENT", "ID")
    fault_proxy.pause()
    asked = [asyncio.ensure_future(flaky.execute("ECHO", n)) for n in range(100)]
    await asyncio.sleep(TIMEOUT / 4)
    fault_proxy.resume()
    time.sleep(TIMEOUT * 2)  # noqa: ASYNC251  that is the fault

    assert await asyncio.gather(*asked) == [str(n).encode() for n in range(100)]
    assert await flaky.execute("CLIENT", "ID") == before


@pytest.mark.proves("T3")
async def test_a_restart_a_kill_and_a_flush_under_load_fail_nothing_that_may_be_sent_twice(
    disposable_server: ServerUnderTest, key_prefix: str
) -> None:
    url = disposable_server.url
    connections = RedisConnections(
        patient_settings(url, transport="multiplexed", retry_budget=30, retries=60)
    )
    admin = RedisConnections(patient_settings(url))
    script = Script.load("rediscore.queue", "lua/stats.lua")
    keys = [f"{{x}}:{n}" for n in range(10)]
    done, stop = 0, False

    async def progress() -> None:
        seen = done
        await eventually(lambda: done > seen + 60, within=40)

    async def load(number: int) -> None:
        nonlocal done
        while not stop:
            assert await connections.execute("ECHO", number, idempotent=True) == str(number).encode()
            await script(connections, keys=keys, args=["", 1, 1, 1], idempotent=True)
            done += 1

    try:
        tasks = [asyncio.create_task(load(number)) for number in range(30)]
        for fault in ("flush", "kill", "flush", "restart", "kill"):
            await progress()
            if fault == "flush":
                await admin.execute("SCRIPT", "FLUSH")
            elif fault == "kill":
                await admin.execute("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            else:
                await asyncio.to_thread(disposable_server.restart, kill=True)
        await progress()
        stop = True
        await asyncio.gather(*tasks)
    finally:
        await connections.aclose()
        await admin.aclose()


@pytest.fixture
async def locked_out(redis_url: str, fault_proxy: FaultProxy) -> AsyncIterator[RedisConnections]:
    wrong = fault_proxy.url(redis_url).replace("redis://:", "redis://:not-")
    connections = RedisConnections(RedisSettings.from_url(wrong, transport="multiplexed"))
    yield connections
    await connections.aclose()


async def test_a_wrong_password_is_told_and_not_tried_in_a_hot_loop(
    locked_out: RedisConnections, fault_proxy: FaultProxy
) -> None:
    attempts = 0

    class Counted(set):  # type: ignore[type-arg]
        def add(self, link: object) -> None:
            nonlocal attempts
            attempts += 1
            super().add(link)

    fault_proxy.links = Counted()
    errors = await outcomes([locked_out.execute("PING", idempotent=True) for _ in range(100)])
    assert all(isinstance(error, redis.exceptions.AuthenticationError) for error in errors)
    assert attempts == 1, "one attempt for all"

    async def insist() -> None:
        while True:
            with pytest.raises(redis.exceptions.AuthenticationError):
                await locked_out.execute("PING")

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1.5):
            await insist()
    assert attempts < 60, "the pauses between attempts grow"


async def test_closing_fails_who_waits_and_leaves_no_task_and_no_connection(
    flaky: RedisConnections, connections: RedisConnections, key_prefix: str, fault_proxy: FaultProxy
) -> None:
    tasks = asyncio.all_tasks()
    fault_proxy.pause()
    waiting = [asyncio.ensure_future(flaky.execute("PING")) for _ in range(5)]
    await asyncio.sleep(0.05)

    await flaky.aclose()

    assert all(isinstance(error, redis.exceptions.ConnectionError) for error in await outcomes(list(waiting)))
    with pytest.raises(redis.exceptions.ConnectionError, match="closed"):
        await flaky.execute("PING")
    assert asyncio.all_tasks() <= tasks | set(waiting)
    fault_proxy.resume()

    async def gone() -> bool:
        return all(client["name"] != key_prefix for client in await connections.commands.client_list())

    await eventually(gone)


async def test_closing_while_connecting_fails_who_waits(redis_url: str, fault_proxy: FaultProxy) -> None:
    fault_proxy.pause()
    connections = RedisConnections(
        RedisSettings.from_url(fault_proxy.url(redis_url), transport="multiplexed")
    )
    waiting = [asyncio.ensure_future(connections.execute("PING")) for _ in range(5)]
    await asyncio.sleep(0.05)

    await connections.aclose()

    assert all(isinstance(error, redis.exceptions.ConnectionError) for error in await outcomes(list(waiting)))


async def test_a_connection_that_dies_in_silence_is_noticed_while_nobody_needs_it(
    redis_url: str, fault_proxy: FaultProxy
) -> None:
    settings = RedisSettings.from_url(
        fault_proxy.url(redis_url), transport="multiplexed", socket_timeout=0.3, health_check_interval=0.2
    )
    connections = RedisConnections(settings)
    try:
        await connections.execute("PING")
        transport = connections._transport
        assert isinstance(transport, Multiplexer)
        fault_proxy.pause()
        await eventually(lambda: transport._connection is None)
        fault_proxy.resume()

        assert await connections.execute("INCR", "x-{never-twice}") >= 1
    finally:
        await connections.execute("DEL", "x-{never-twice}")
        await connections.aclose()


async def test_the_connection_follows_an_endpoint_that_moved(
    shared: RedisConnections, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = await shared.execute("CLIENT", "ID")
    endpoint = shared._transport._endpoint  # type: ignore[attr-defined]
    moved = [True]
    monkeypatch.setattr(endpoint, "moved", lambda connection: moved.pop() if moved else False)
    # The watchdog took `moved` when it was made: connect again under the patched one.
    shared._transport._connection.lose(lambda: redis.exceptions.ConnectionError("by the test"))  # type: ignore[attr-defined]
    after = await shared.execute("CLIENT", "ID", idempotent=True)
    await eventually(lambda: not moved)

    assert before < after < await shared.execute("CLIENT", "ID", idempotent=True)
