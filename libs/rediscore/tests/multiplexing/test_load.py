"""Many callers at once: one write per turn of the loop, bounds that hold, and the patterns on top."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from rediscore.client import RedisConnections
from rediscore.errors import StaleLease
from rediscore.keys import KeySpace
from rediscore.multiplexing import Multiplexer
from rediscore.queue import PriorityQueue
from rediscore.settings import RedisSettings
from rediscore.testing import FaultProxy, patient_settings


class Counting(FaultProxy):
    """Counts the pieces in which requests arrive."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(host, port)
        self.requests: list[int] = []

    async def _requests(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, link: object) -> None:
        while data := await source.read(1 << 20):
            self.requests.append(data.count(b"ECHO"))
            sink.write(data)
            await sink.drain()
        link.abort()  # type: ignore[attr-defined]


@pytest.fixture
async def counting(redis_url: str) -> AsyncIterator[Counting]:
    settings = patient_settings(redis_url)
    async with Counting(settings.host, settings.port) as proxy:
        yield proxy


@pytest.mark.proves("R1")
async def test_commands_of_one_turn_travel_in_one_write(redis_url: str, counting: Counting) -> None:
    connections = RedisConnections(RedisSettings.from_url(counting.url(redis_url), transport="multiplexed"))
    try:
        await connections.execute("PING")
        for number in (1, 2, 50, 500):
            counting.requests.clear()

            await asyncio.gather(*(connections.execute("ECHO", n) for n in range(number)))

            assert [count for count in counting.requests if count] == [number]
    finally:
        await connections.aclose()


@pytest.mark.proves("T4")
async def test_thousands_of_callers_need_one_connection(
    shared: RedisConnections, connections: RedisConnections, key_prefix: str
) -> None:
    async def caller(number: int) -> None:
        for n in range(3):
            mine = f"{number}-{n}" + "x" * (number % 50) * 20
            assert await shared.execute("ECHO", mine) == mine.encode()
        await shared.execute("INCR", key_prefix)

    await asyncio.gather(*(caller(number) for number in range(6000)))  # more than may be on the wire

    assert await shared.execute("GETDEL", key_prefix) == b"6000"
    clients = await connections.commands.client_list()
    assert sum(client["name"] == key_prefix for client in clients) == 1


@pytest.mark.proves("T4", "T1")
async def test_back_pressure_when_the_server_does_not_read(
    flaky: RedisConnections, fault_proxy: FaultProxy
) -> None:
    """What does not fit on the wire waits in the process, and leaves with its caller."""
    transport = flaky._transport
    assert isinstance(transport, Multiplexer)
    connection = transport._connection
    assert connection is not None
    fault_proxy.pause()
    value = "x" * 60_000
    asked = [asyncio.ensure_future(flaky.execute("ECHO", value)) for _ in range(100)]
    for _ in range(3):
        await asyncio.sleep(0)
    later = [asyncio.ensure_future(flaky.execute("ECHO", n)) for n in range(100)]
    await asyncio.sleep(0.05)

    assert connection.waiting == 100, "the transport is full, so nothing more is written"
    for task in later[:50]:
        task.cancel()
    fault_proxy.resume()

    assert set(await asyncio.gather(*asked)) == {value.encode()}
    assert await asyncio.gather(*later[50:]) == [str(n).encode() for n in range(50, 100)]
    assert transport._connection is connection


@pytest.mark.proves("R16")
@pytest.mark.parametrize("transport", ["pool", "multiplexed"])
async def test_a_queue_works_on_either_transport(redis_url: str, key_prefix: str, transport: str) -> None:
    connections = RedisConnections(patient_settings(redis_url, transport=transport))
    try:
        queue = PriorityQueue(
            connections,
            "work",
            keys=KeySpace(key_prefix),
            head_start={"standard": timedelta(0), "express": timedelta(minutes=10)},
            memory=timedelta(seconds=1),
        )
        await asyncio.gather(*(queue.add(f"e{n}", b"x", priority="standard") for n in range(50)))
        await queue.add("first", priority="express")

        claims = []
        workers = (queue.claim_wait(f"w{n}", wait=timedelta(seconds=5)) for n in range(51))
        for claim in await asyncio.gather(*workers):
            assert claim is not None
            claims.append(claim)
        assert len({claim.entry_id for claim in claims}) == 51
        waiting = asyncio.ensure_future(queue.claim_wait("late", wait=timedelta(seconds=5)))
        await asyncio.gather(*(queue.ack(claim.entry_id, claim.token) for claim in claims))
        with pytest.raises(StaleLease):
            await queue.extend("first", claims[0].token)
        await queue.add("last")
        claim = await waiting
        assert claim is not None
        await queue.ack(claim.entry_id, claim.token)
        assert (await queue.stats()).ready == 0
    finally:
        keys = [key async for key in connections.scan_keys(f"{key_prefix}*")]
        await connections.execute("DEL", *keys)
        await connections.aclose()
