"""Groups that nobody reads any more: they are seen, and there is a way out."""

import asyncio

import pytest
from prometheus_client import CollectorRegistry
from rediscore.streams import GroupMetrics, GroupState, forget_group, read_groups, redrive_stream
from rediscore.testing import eventually
from rediscore.testing.streams import Recorder, StreamKit

pytestmark = pytest.mark.proves("R18", "R20", "X6")


async def test_a_group_that_nobody_reads_holds_the_stream_until_it_is_forgotten(
    kit: StreamKit, recorder: Recorder
) -> None:
    ids = await kit.publish(*(kit.event(f"e{n}") for n in range(20)))
    await kit.commands.xgroup_create(kit.stream, "gone", id="0")
    await kit.commands.xreadgroup("gone", "c", {kit.stream: ">"}, count=5)
    await kit.commands.xgroup_create(kit.stream, "never", id="0")
    await kit.read(recorder)
    await kit.settled()
    await asyncio.sleep(0.2)
    states = {state.name: state for state in await read_groups(kit.connections, kit.stream)}
    assert (states["gone"].lag, states["gone"].pending) == (15, 5)
    assert 0.2 <= (states["gone"].idle or 0) < 30
    assert states["never"].idle is None
    assert (states[kit.group].lag, states[kit.group].pending) == (0, 0)
    assert await kit.publisher.trim(kit.stream, keep=1) == 0

    # Who is read is not forgotten by mistake.
    with pytest.raises(ValueError, match="stop its readers"):
        await forget_group(kit.connections, kit.stream, kit.group)
    await kit.commands.xadd(redrive_stream(kit.stream, "gone"), {"a": "b"})
    assert await forget_group(kit.connections, kit.stream, "gone", unread_for=0.1)
    assert await forget_group(kit.connections, kit.stream, "never")
    assert not await forget_group(kit.connections, kit.stream, "never")
    assert not await kit.commands.exists(redrive_stream(kit.stream, "gone"))
    assert await kit.publisher.trim(kit.stream, keep=1) == 19
    assert [entry for entry, _ in await kit.entries()] == ids[-1:]
    assert await read_groups(kit.connections, f"{kit.stream}.missing") == []
    assert not await forget_group(kit.connections, f"{kit.stream}.missing", "gone")


def test_the_gauges_are_bounded_and_forget_who_is_gone() -> None:
    registry = CollectorRegistry()
    metrics = GroupMetrics(registry, most=2)
    metrics.show("s", [GroupState(f"g{n}", n, 1, float(n)) for n in range(5)])

    def value(name: str, group: str) -> float | None:
        return registry.get_sample_value(f"rediscore_stream_group_{name}", {"stream": "s", "group": group})

    assert [value("behind_entries", f"g{n}") for n in range(5)] == [None, None, None, 4, 5]
    metrics.show("s", [GroupState("g3", 7, 0, None), GroupState("g0", 0, 0, 1.0)])
    assert (value("behind_entries", "g3"), value("idle_seconds", "g3")) == (7, float("inf"))
    assert value("behind_entries", "g4") is None


async def test_a_stream_that_is_read_is_trimmed_while_it_is_read(kit: StreamKit, recorder: Recorder) -> None:
    """What is trimmed was acknowledged: nothing is missing, however often it is cut."""
    await kit.read(recorder, prefetch=10)
    for start in range(0, 200, 20):
        await kit.publish(*(kit.event(f"e{n}", f"s{n % 3}") for n in range(start, start + 20)))
        await kit.publisher.trim(kit.stream, keep=1)
    await eventually(lambda: len(recorder.events) == 200)
    await kit.settled()
    await kit.publisher.trim(kit.stream, keep=1)
    assert await kit.commands.xlen(kit.stream) == 1
