"""Writing streams and cutting them."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.exceptions import OutOfMemoryError
from rediscore.streams import StreamPublisher, partition_of, stream_names
from rediscore.testing.streams import StreamKit


async def test_events_are_added_assert_in_order(kit: StreamKit) -> None:
    ids = await kit.publish(*(kit.event(f"e{n}") for n in range(5)))
    assert [entry_id for entry_id, _ in await kit.entries()] == ids
    assert await kit.last_id() == "e4"


async def test_events_are_added_all_or_none(own_kit: StreamKit) -> None:
    """Memory that runs out in the middle of a batch must not leave half of it behind."""
    memory = await own_kit.commands.info("memory")
    await own_kit.commands.config_set("maxmemory", memory["used_memory"] + 2_000_000)
    batch = [own_kit.event(f"e{n}", filling="x" * 5000) for n in range(20)]

    async def publish_until_it_is_full() -> None:
        for _ in range(100):
            await own_kit.publish(*batch)

    with pytest.raises(OutOfMemoryError):
        await publish_until_it_is_full()
    added = await own_kit.commands.xlen(own_kit.stream)
    assert added > 0
    assert added % 20 == 0


async def test_the_last_event_is_found_behind_entries_that_are_none(kit: StreamKit) -> None:
    assert await kit.last_id() is None
    await kit.publish(kit.event("a"))
    for _ in range(25):
        await kit.commands.xadd(kit.stream, {"junk": "x"})
    assert await kit.last_id() == "a"


@pytest.mark.proves("R18")
async def test_length_is_bounded_even_when_nobody_trims(kit: StreamKit) -> None:
    publisher = StreamPublisher(kit.connections, max_length=200)
    for n in range(0, 1000, 100):
        await publisher.publish(kit.stream, [kit.event(f"e{n + i}") for i in range(100)])
    assert await kit.commands.xlen(kit.stream) < 400


@pytest.mark.proves("R18")
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    read=st.lists(st.integers(0, 30), min_size=1, max_size=3),
    unacked=st.sets(st.integers(0, 29), max_size=5),
    keep=st.integers(1, 12),
)
async def test_trimming_never_drops_what_a_group_has_not_finished(
    kit: StreamKit, read: list[int], unacked: set[int], keep: int
) -> None:
    """`read`: how many entries each group has read; `unacked`: which of them it has not acknowledged."""
    commands, stream = kit.commands, f"{kit.stream}.{len(read)}"
    await commands.delete(stream)
    ids = await kit.publish(*(kit.event(f"e{n}") for n in range(30)), stream=stream)
    needed = set(ids[-keep:])
    for number, count in enumerate(read):
        await commands.xgroup_create(stream, f"g{number}", id="0")
        if count:
            await commands.xreadgroup(f"g{number}", "c", {stream: ">"}, count=count)
        done = [entry for place, entry in enumerate(ids[:count]) if place not in unacked]
        if done:
            await commands.xack(stream, f"g{number}", *done)
        needed |= set(ids) - set(done)
    await kit.publisher.trim(stream, keep=keep)
    left = [entry_id for entry_id, _ in await kit.entries(stream)]
    assert needed <= set(left)
    # What was read by all goes, up to the one that was delivered last.
    oldest_needed = min(ids.index(entry) for entry in needed)
    assert len(left) <= 30 - oldest_needed + 1


@pytest.mark.proves("R18")
async def test_trimming_compares_ids_as_numbers(kit: StreamKit) -> None:
    commands = kit.commands
    for entry in ("9-1", "10-9", "10-10", "11-1"):
        await commands.xadd(kit.stream, {"a": "b"}, id=entry)
    await commands.xgroup_create(kit.stream, "slow", id="10-9")
    await commands.xgroup_create(kit.stream, "fast", id="11-1")
    assert await kit.publisher.trim(kit.stream, keep=1) == 1
    assert [entry_id for entry_id, _ in await kit.entries()] == ["10-9", "10-10", "11-1"]


async def test_a_stream_without_group_is_not_trimmed(kit: StreamKit) -> None:
    await kit.publish(*(kit.event(f"e{n}") for n in range(5)))
    assert await kit.publisher.trim(kit.stream, keep=1) == 0
    assert await kit.publisher.trim(f"{kit.stream}.missing", keep=1) == 0


def test_partitions_are_named_and_chosen_by_subject() -> None:
    assert stream_names("orders.events", 1) == ("orders.events",)
    assert stream_names("orders.events", 2) == ("orders.events.0", "orders.events.1")
    # Fixed for ever: an event must be found where an older release has put it.
    assert [partition_of(f"order-{n}", 4) for n in range(6)] == [1, 3, 1, 3, 0, 2]
    with pytest.raises(ValueError, match="at least one"):
        stream_names("orders.events", 0)
