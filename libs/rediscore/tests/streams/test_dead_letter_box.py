"""The operators' side of dead letters: what they see, what they change, and what is kept of it."""

import json

import pytest
from rediscore.streams import (
    NotTheSameEvent,
    Reason,
)
from rediscore.testing import eventually
from rediscore.testing.streams import Recorder, StreamKit

from .conftest import die

pytestmark = pytest.mark.proves("R18", "X7")


async def test_a_letter_tells_all_that_is_known(kit: StreamKit, recorder: Recorder) -> None:
    try:
        raise KeyError("cause")
    except KeyError as error:
        failure = ValueError("no such oven")
        failure.__cause__ = error
    recorder.failing["bad"] = failure
    await kit.publish(kit.event("bad"))
    await kit.read(recorder)
    await kit.settled()
    (listed,) = await kit.dead()
    letter = await kit.box().get(listed.id)
    assert letter == listed
    entry_id, fields = (await kit.entries())[0]
    assert (letter.stream, letter.group, letter.reason) == (kit.stream, kit.group, Reason.HANDLER_FAILED)
    assert (letter.error, letter.attempts, letter.reclaims) == ("ValueError: no such oven", 3, 0)
    assert (letter.original_id, letter.entry) == (entry_id, fields[b"__data__"])
    assert letter.event is not None
    assert letter.event.id == "bad"
    # From the cause to the handler's own frame, without what the messages say.
    assert letter.traceback.index("KeyError") < letter.traceback.index("raise self.failing[event.id]")
    assert letter.traceback.rstrip().endswith("ValueError")
    assert "no such oven" not in letter.traceback
    assert await kit.box().get("1-1") is None
    with pytest.raises(ValueError, match="looks like"):
        await kit.box().get("*")


async def test_crash_reclaims_are_told_apart_from_attempts(kit: StreamKit, recorder: Recorder) -> None:
    await kit.publish(kit.event("bad"))
    await kit.commands.xgroup_create(kit.stream, kit.group, id="0")
    for _ in range(2):
        # Delivered twice to readers that vanished.
        await kit.commands.xreadgroup(kit.group, "gone", {kit.stream: ">"})
        await kit.commands.xclaim(kit.stream, kit.group, "gone", 0, [(await kit.entries())[0][0]])
    recorder.failing["bad"] = ValueError("broken")
    await kit.read(recorder)
    await kit.settled()
    assert [(letter.attempts, letter.reclaims) for letter in await kit.dead()] == [(3, 3)]


async def test_letters_are_paged_and_filtered(kit: StreamKit, recorder: Recorder) -> None:
    await die(kit, recorder, *(f"e{n}" for n in range(5)))
    await kit.commands.xadd(kit.stream, {"junk": "x"})
    await die(kit, recorder, "last", group="other", others=1)
    box = kit.box()
    seen: list[str] = []
    after = None
    while True:
        page = await box.page(group=kit.group, oldest_first=True, after=after, limit=2)
        seen += [letter.event.id for letter in page.letters if letter.event]
        if (after := page.next) is None:
            break
    assert seen == [f"e{n}" for n in range(5)]
    newest = await box.page(limit=1)
    assert [letter.event and letter.event.id for letter in newest.letters] == ["last"]
    (malformed,) = (await box.page(reason=Reason.MALFORMED)).letters
    assert (malformed.group, malformed.event) == ("other", None)
    assert await box.counts() == {kit.group: 5, "other": 2}


async def test_a_correction_is_handled_and_the_original_stays(kit: StreamKit, recorder: Recorder) -> None:
    await die(kit, recorder, "a")
    await kit.commands.xadd(kit.stream, {"__data__": '{"torn'})
    await die(kit, recorder)
    streams = await kit.read(recorder)

    async def both() -> bool:
        return len(await kit.dead()) == 2

    await eventually(both)
    letter, torn = await kit.dead()
    box = kit.box()
    for wrong in (kit.event("another"), kit.event("a", "another-subject")):
        with pytest.raises(NotTheSameEvent, match="must keep"):
            await box.edit(letter.id, wrong.to_json(), by="luigi")
    with pytest.raises(NotTheSameEvent, match="no CloudEvent"):
        await box.edit(letter.id, "{}", by="luigi")
    assert not await box.edit("1-1", kit.event("a").to_json(), by="luigi")

    corrected = kit.event("a", size=4)
    assert await box.edit(letter.id, corrected.to_json(), by="luigi", why="size was missing")
    assert await box.edit(torn.id, kit.event("mended").to_json(), by="luigi")
    shown = await box.get(letter.id)
    assert shown is not None
    assert shown.correction is not None
    assert (shown.correction.by, shown.correction.why) == ("luigi", "size was missing")
    assert shown.entry == letter.entry
    assert shown.event is not None
    assert shown.event.data == {"size": 4}

    assert await box.redrive_all(kit.group, by="luigi", per_second=1000) == 2
    await eventually(lambda: len(recorder.events) == 2)
    assert {event.id: event.data for event in recorder.events} == {"a": {"size": 4}, "mended": {}}
    assert await kit.commands.exists(f"{kit.stream}.dead.edits") == 0
    await streams.stop()


async def test_who_when_what_and_why_is_kept(kit: StreamKit, recorder: Recorder) -> None:
    await die(kit, recorder, "a", "b")
    first, second = await kit.dead()
    box = kit.box()
    assert await box.edit(first.id, kit.event("a").to_json(), by="luigi", why="checked")
    assert await box.redrive(first.id, by="mario", why="oven repaired")
    assert await box.drop(second.id, by="luigi", why="a test order")
    assert not await box.drop(second.id, by="luigi", why="a test order")
    trail = [entry for _, entry in await box.audit()]
    assert [(one.action, one.letter_id, one.by, one.why) for one in trail] == [
        ("drop", second.id, "luigi", "a test order"),
        ("redrive", first.id, "mario", "oven repaired"),
        ("edit", first.id, "luigi", "checked"),
    ]
    assert {(one.group, one.reason) for one in trail} == {(kit.group, Reason.HANDLER_FAILED)}
    assert trail[0].original_id == second.original_id
    newest = await box.audit(limit=1)
    assert [one.action for _, one in await box.audit(before=newest[0][0])] == ["redrive", "edit"]
    with pytest.raises(ValueError, match="Say who"):
        await box.drop(first.id, by="", why="nobody")


async def test_counts_are_right_whatever_happened_to_the_stream(kit: StreamKit, recorder: Recorder) -> None:
    await die(kit, recorder, "a", "b", "c")
    await die(kit, recorder, "d", group="other")
    first = (await kit.dead())[0]
    await kit.box().drop(first.id, by="luigi", why="test")
    assert await kit.box().counts() == {kit.group: 2, "other": 1}
    await kit.commands.xdel(f"{kit.stream}.dead", (await kit.dead())[0].id)
    assert await kit.box().counts() == {kit.group: 1, "other": 1}
    await kit.commands.delete(f"{kit.stream}.dead")
    assert await kit.box().counts() == {}


async def test_the_oldest_letters_go_with_their_corrections_and_counts(
    kit: StreamKit, recorder: Recorder
) -> None:
    await die(kit, recorder, "a", "b")
    assert await kit.box().edit((await kit.dead())[0].id, kit.event("a").to_json(), by="luigi")
    streams = kit.streams(dead_length=2)
    streams.subscriber(kit.stream, retry=kit.quick)
    await kit.publish(kit.event("c"), kit.event("d"))
    await streams.start()
    await kit.settled()
    assert [json.loads(letter.entry)["id"] for letter in await kit.dead()] == ["c", "d"]
    assert await kit.commands.hgetall(f"{kit.stream}.dead.counts") == {kit.group.encode(): b"2"}
    assert await kit.commands.exists(f"{kit.stream}.dead.edits") == 0
