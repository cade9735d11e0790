"""A change whose reply is lost counts once, and undoes nothing that came before it was sent again."""

from datetime import timedelta

import pytest
from rediscore.client import RedisConnections
from rediscore.keys import KeySpace
from rediscore.sets import Segments
from rediscore.testing import FaultProxy

pytestmark = pytest.mark.proves("R15", "T1")

MINUTE = timedelta(minutes=1)


@pytest.fixture
async def segments(connections: RedisConnections, keys: KeySpace) -> Segments:
    return Segments(connections, "customers", keys=keys)


@pytest.fixture
async def flaky(through_proxy: RedisConnections, keys: KeySpace) -> Segments:
    return Segments(through_proxy, "customers", keys=keys, part=2)


async def test_lost_reply_to_add_of_what_another_has_removed_since(
    flaky: Segments, segments: Segments, fault_proxy: FaultProxy
) -> None:
    async def another() -> None:
        await segments["a"].remove("x")

    fault_proxy.on_swallow = another
    fault_proxy.swallow_reply()

    assert await flaky["a"].add("x", "y", ttl=MINUTE) == 2

    assert fault_proxy.swallowed == 1
    assert [member async for member in segments["a"].members()] == ["y"]


async def test_lost_reply_to_remove_of_what_another_has_added_since(
    flaky: Segments, segments: Segments, fault_proxy: FaultProxy
) -> None:
    await segments["a"].add("x", ttl=MINUTE)

    async def another() -> None:
        await segments["a"].add("x", ttl=MINUTE)

    fault_proxy.on_swallow = another
    fault_proxy.swallow_reply()

    assert await flaky["a"].remove("x") == 1

    assert fault_proxy.swallowed == 1
    assert await segments["a"].contains("x")


@pytest.mark.parametrize("lost", ["first part", "publish"])
async def test_lost_reply_to_store(
    flaky: Segments, segments: Segments, fault_proxy: FaultProxy, lost: str
) -> None:
    """A last step that ran twice would find nothing to publish, and take the audience away."""
    await segments["a"].add(*"abc", ttl=MINUTE)
    await segments["b"].add(*"cde", ttl=MINUTE)
    fault_proxy.swallow_reply(after=b":part:" if lost == "first part" else b":publish:")

    assert await flaky.store("x", flaky["a"] | flaky["b"], MINUTE) == 5

    assert fault_proxy.swallowed == 1
    assert await segments.audience("x").count() == 5
