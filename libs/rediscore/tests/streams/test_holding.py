"""What a reader holds: touched as long as it is its own, given back when it was not begun."""

import pytest
from rediscore.clock import SystemClock
from rediscore.streams import encode_entry, redrive_stream
from rediscore.streams.holding import Holding
from rediscore.streams.sources import sources_of
from rediscore.streams.subscriber import Mode
from rediscore.streams.work import Work, work_from_entry
from rediscore.testing import eventually
from rediscore.testing.streams import Recorder, StreamKit

pytestmark = pytest.mark.proves("R18")


async def held(kit: StreamKit, number: int) -> tuple[Holding, list[Work]]:
    """A reader `me` that was given so many entries."""
    await kit.publish(*(kit.event(f"e{n}", f"s{n}") for n in range(number)))
    await kit.commands.xgroup_create(kit.stream, kit.group, id="0")
    await kit.commands.xreadgroup(kit.group, "me", {kit.stream: ">"})
    sources = sources_of(kit.stream, kit.group)
    works = [
        work_from_entry(entry.encode(), [part for pair in fields.items() for part in pair], sources[0])
        for entry, fields in await kit.entries()
    ]
    holding = Holding(
        kit.connections, sources=sources, group=kit.group, consumer="me", min_idle=30.0, clock=SystemClock()
    )
    return holding, works


async def owners(kit: StreamKit) -> list[tuple[bytes, int]]:
    rows = await kit.commands.xpending_range(kit.stream, kit.group, "-", "+", 100)
    return [(row["consumer"], row["times_delivered"]) for row in rows]


@pytest.mark.proves("X2")
async def test_touching_takes_nothing_back_from_who_works_on_it(kit: StreamKit) -> None:
    holding, works = await held(kit, 3)
    mine, taken, ended = works
    await kit.commands.xclaim(kit.stream, kit.group, "other", 0, [taken.entry_id])
    await kit.commands.xack(kit.stream, kit.group, ended.entry_id)
    assert not holding.surely(mine)
    assert await holding.touch(works) == [taken, ended]
    assert await owners(kit) == [(b"me", 1), (b"other", 2)]
    assert (holding.surely(mine), holding.surely(taken)) == (True, False)
    # Who lost group or stream keeps what it has: nobody else will get it.
    await kit.commands.xgroup_destroy(kit.stream, kit.group)
    assert await holding.touch(works) == []
    await kit.commands.delete(kit.stream)
    assert await holding.touch(works) == []


async def test_what_is_given_back_is_free_at_once_and_was_never_delivered(kit: StreamKit) -> None:
    holding, works = await held(kit, 3)
    given, taken, kept = works
    await kit.commands.xclaim(kit.stream, kit.group, "other", 0, [taken.entry_id])
    await holding.give_back([given, taken], None)
    assert await owners(kit) == [(b"me", 0), (b"other", 2), (b"me", 1)]
    idle = await kit.commands.xpending_range(kit.stream, kit.group, "-", "+", 100, idle=30_000)
    assert [row["message_id"] for row in idle] == [given.entry_id]
    assert kept.entry_id not in idle


@pytest.mark.proves("X7")
@pytest.mark.parametrize("mode", ["ordered", "competing"])
async def test_entries_of_both_streams_may_have_the_same_id(
    kit: StreamKit, recorder: Recorder, mode: Mode
) -> None:
    recorder.failing = {"a": ValueError("no"), "b": ValueError("no")}
    again = {**encode_entry(kit.event("b", "s2")), b"original_id": b"1-1", b"redrives": b"2"}
    await kit.commands.xadd(kit.stream, encode_entry(kit.event("a")), id="5-1")
    await kit.commands.xadd(redrive_stream(kit.stream, kit.group), again, id="5-1")
    await kit.read(recorder, mode=mode)

    async def letters() -> bool:
        return len(await kit.dead()) == 2

    await eventually(letters)
    assert recorder.calls == {"a": 3, "b": 3}
    found = {letter.event.id: letter for letter in await kit.dead() if letter.event}
    assert [(found[name].original_id, found[name].attempts) for name in "ab"] == [("5-1", 3), ("1-1", 3)]
    assert [found[name].redrives for name in "ab"] == [0, 2]
