"""A write whose reply is lost counts once, and never undoes what others did before it was sent again."""

from dataclasses import dataclass
from datetime import timedelta

import pytest
from rediscore.client import RedisConnections
from rediscore.keys import KeySpace
from rediscore.records import HashRecords, Record
from rediscore.testing import FaultProxy

pytestmark = pytest.mark.proves("R9", "T1")


@dataclass
class Count:
    n: int
    other: int = 0


@pytest.fixture
async def records(connections: RedisConnections, keys: KeySpace) -> HashRecords[Count]:
    return HashRecords(connections, "count", Count, keys=keys, ttl=timedelta(minutes=1))


@pytest.fixture
async def flaky(through_proxy: RedisConnections, keys: KeySpace) -> HashRecords[Count]:
    return HashRecords(through_proxy, "count", Count, keys=keys, ttl=timedelta(minutes=1))


async def test_lost_reply_to_write(
    flaky: HashRecords[Count], records: HashRecords[Count], fault_proxy: FaultProxy
) -> None:
    fault_proxy.swallow_reply()

    version = await flaky.write("a", Count(1), expected_version=0)

    assert fault_proxy.swallowed == 1
    assert await records.read("a") == Record(Count(1), version)


async def test_lost_reply_to_update_that_another_has_changed_since(
    flaky: HashRecords[Count], records: HashRecords[Count], fault_proxy: FaultProxy
) -> None:
    first = await records.write("a", Count(1))
    later = 0

    async def another() -> None:
        nonlocal later
        later = await records.update("a", n=3)

    fault_proxy.on_swallow = another
    fault_proxy.swallow_reply()

    version = await flaky.update("a", expected_version=first, n=2)

    assert fault_proxy.swallowed == 1
    assert first < version < later
    assert await records.read("a") == Record(Count(3), later)


async def test_lost_reply_to_delete_of_what_another_has_written_since(
    flaky: HashRecords[Count], records: HashRecords[Count], fault_proxy: FaultProxy
) -> None:
    await records.write("a", Count(1))
    version = 0

    async def another() -> None:
        nonlocal version
        version = await records.write("a", Count(2))

    fault_proxy.on_swallow = another
    fault_proxy.swallow_reply()

    assert await flaky.delete("a")

    assert fault_proxy.swallowed == 1
    assert await records.read("a") == Record(Count(2), version)


async def test_the_same_request_the_same_answer(records: HashRecords[Count]) -> None:
    first = await records.write("a", Count(1), request="r1")
    second = await records.update("a", request="r2", n=2)

    assert await records.write("a", Count(1), request="r1") == first
    assert await records.update("a", request="r2", n=5) == second
    assert await records.read("a") == Record(Count(2), second)
