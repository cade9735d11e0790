"""Dead letters that are sent again: once, to their group alone, whatever happens on the way."""

import asyncio
from typing import Any

import pytest
from rediscore.client import RedisConnections
from rediscore.streams import (
    DeadLetter,
    DeadLetterBox,
    Reason,
    RedriveFull,
    Reject,
    ReliableStreams,
    redrive_stream,
    sent_again,
)
from rediscore.streams.subscriber import Mode
from rediscore.testing import FaultProxy, ServerUnderTest, eventually
from rediscore.testing.streams import Recorder, StreamKit

from .conftest import Spawn, die, logged

pytestmark = pytest.mark.proves("R18", "X7")


@pytest.mark.parametrize("batch", [False, True], ids=["single", "batch"])
@pytest.mark.parametrize("mode", ["ordered", "competing"])
async def test_what_is_sent_again_reaches_its_group_alone_and_is_acknowledged(
    kit: StreamKit, mode: Mode, batch: bool
) -> None:
    seen: dict[str, Recorder] = {"first": Recorder(), "second": Recorder()}
    for group, recorder in seen.items():
        streams = ReliableStreams(kit.connections, group=group, keys=kit.keys)
        kit.running.append(streams)
        subscriber = streams.subscriber(kit.stream, mode=mode, batch=batch, retry=kit.quick)
        if batch:

            async def handle(events: Any, recorder: Recorder = recorder) -> None:
                for event in events:
                    await recorder(event)

            subscriber.on_batch(handle)
        else:
            subscriber.on_any(recorder)
        await streams.start()
    seen["first"].failing["bad"] = Reject("not now") if not batch else ValueError("not now")
    box = kit.box()
    await kit.publish(kit.event("bad"))

    async def letters(number: int) -> bool:
        return await box.counts() == ({"first": number} if number else {})

    await eventually(lambda: letters(1))
    await eventually(lambda: "bad" in seen["second"].calls)
    (letter,) = (await box.page()).letters

    assert await box.redrive(letter.id, by="luigi")
    # Still bad: a letter again, which knows its history; the original entry is named as before.
    await eventually(lambda: letters(1))

    async def second_letter() -> bool:
        return [one.redrives for one in (await box.page()).letters] == [1]

    await eventually(second_letter)
    (again,) = (await box.page()).letters
    assert (again.original_id, again.entry) == (letter.original_id, letter.entry)

    before = len(seen["first"].events)
    seen["first"].failing.clear()
    assert await box.redrive(again.id, by="luigi")
    await eventually(lambda: len(seen["first"].events) > before)

    async def done() -> bool:
        return not await box.on_their_way("first")

    await eventually(done)
    assert seen["first"].ids[before:] == ["bad"]
    assert await box.counts() == {}
    assert seen["second"].calls == {"bad": 1}
    assert (await kit.commands.xpending(redrive_stream(kit.stream, "first"), "first"))["pending"] == 0


async def test_two_operators_at_once_send_it_once(kit: StreamKit, recorder: Recorder) -> None:
    await die(kit, recorder, "a", "b", "c")
    letters = await kit.dead()
    boxes = [kit.box() for _ in range(6)]
    answers = await asyncio.gather(
        *(box.redrive(letters[0].id, by=f"operator-{n}") for n, box in enumerate(boxes)),
        *(box.redrive_all(kit.group, by=f"all-{n}", per_second=10_000) for n, box in enumerate(boxes)),
    )
    assert sum(answers) == 3
    assert await kit.box().on_their_way(kit.group) == 3
    await kit.read(recorder)
    await eventually(lambda: len(recorder.events) == 3)
    assert recorder.calls == {"a": 1, "b": 1, "c": 1}
    assert len(await kit.box().audit()) == 3


async def test_a_lost_answer_sends_it_once_and_tells_the_truth(
    kit: StreamKit, recorder: Recorder, through_proxy: RedisConnections, fault_proxy: FaultProxy
) -> None:
    await die(kit, recorder, "a", "b", "c")
    first, second, third = await kit.dead()
    box = DeadLetterBox(through_proxy, kit.stream)
    assert not await box.redrive("1-1", by="luigi")  # the scripts are known from here on
    corrected = kit.event("b", n=7).to_json()
    assert await box.edit(second.id, corrected, by="luigi")

    fault_proxy.swallow_reply(b"EVALSHA")
    assert await box.redrive(first.id, by="luigi")
    fault_proxy.swallow_reply(b"EVALSHA")
    assert await box.edit(second.id, corrected, by="luigi")
    fault_proxy.swallow_reply(b"EVALSHA")
    assert await box.drop(third.id, by="luigi", why="a test order")
    assert fault_proxy.swallowed == 3
    assert await box.on_their_way(kit.group) == 1
    assert [entry.action for _, entry in await box.audit()] == ["drop", "edit", "redrive", "edit"]


async def test_all_are_sent_at_a_pace_that_operators_share(kit: StreamKit, recorder: Recorder) -> None:
    await die(kit, recorder, *(f"e{n}" for n in range(4)))
    box = kit.box()
    step = await box.redrive_next(kit.group, by="luigi", per_second=0.01)
    assert (step.sent, step.full) == (1, False)
    assert step.next is not None
    assert 90 < step.wait <= 100
    # Neither the next step nor another operator comes before its time.
    again = await box.redrive_next(kit.group, by="luigi", per_second=0.01, after=step.next)
    other = await kit.box().redrive_next(kit.group, by="mario", per_second=0.01)
    assert (again.sent, other.sent) == (0, 0)
    assert again.next == step.next
    assert await box.counts() == {kit.group: 3}
    # Another group has a pace of its own.
    await die(kit, recorder, "x", group="other")
    assert (await box.redrive_next("other", by="mario", per_second=0.01)).sent == 1


async def test_what_fails_again_is_not_sent_for_ever(kit: StreamKit, recorder: Recorder) -> None:
    await die(kit, recorder, *(f"e{n}" for n in range(4)))
    for n in range(4):
        recorder.failing[f"e{n}"] = Reject("still no")
    await kit.read(recorder)
    box, sent = kit.box(), 0
    step = await box.redrive_next(kit.group, by="luigi", per_second=20)
    while True:
        sent += step.sent

        async def letters_again(sent: int = sent) -> bool:
            return [letter.redrives for letter in await kit.dead()].count(1) == sent

        # Each is a letter again before the next step.
        await eventually(letters_again)
        if step.next is None:
            break
        await asyncio.sleep(step.wait)
        step = await box.redrive_next(kit.group, by="luigi", per_second=20, after=step.next)
    assert sent == 4
    assert [letter.redrives for letter in await kit.dead()] == [1] * 4


async def test_only_letters_of_the_reason_are_sent(kit: StreamKit, recorder: Recorder) -> None:
    await kit.commands.xadd(kit.stream, {"junk": "x"})
    await die(kit, recorder, "a", others=1)
    sent = await kit.box().redrive_all(kit.group, by="luigi", reason=Reason.HANDLER_FAILED, per_second=1000)
    assert sent == 1
    assert [letter.reason for letter in await kit.dead()] == [Reason.MALFORMED]


async def test_a_group_that_works_nothing_off_gets_no_more(kit: StreamKit, recorder: Recorder) -> None:
    await die(kit, recorder, "a", "b", "c")
    box = DeadLetterBox(kit.connections, kit.stream, capacity=1)
    with pytest.raises(RedriveFull):
        await box.redrive_all(kit.group, by="luigi", per_second=1000)
    with pytest.raises(RedriveFull):
        await box.redrive((await kit.dead())[0].id, by="luigi")
    assert (await box.counts(), await box.on_their_way(kit.group)) == ({kit.group: 2}, 1)


async def test_what_is_sent_again_waits_behind_its_subject(kit: StreamKit, recorder: Recorder) -> None:
    await die(kit, recorder, "old")
    log: list[str] = []
    go_on = asyncio.Event()

    async def handler(event: Any) -> None:
        log.append(f"start {event.id}")
        if event.id == "running":
            await go_on.wait()
        log.append(f"end {event.id}")

    await kit.read(handler)
    await kit.publish(kit.event("running"))
    await eventually(lambda: log == ["start running"])
    assert await kit.box().redrive((await kit.dead())[0].id, by="luigi")
    await kit.publish(kit.event("other", "s2"))
    await eventually(lambda: "end other" in log)

    async def delivered() -> bool:
        return bool(
            (await kit.commands.xpending(redrive_stream(kit.stream, kit.group), kit.group))["pending"]
        )

    await eventually(delivered)
    assert "start old" not in log
    go_on.set()
    await eventually(lambda: log[-1] == "end old")
    assert log.index("end running") < log.index("start old")


@pytest.mark.parametrize("mode", ["ordered", "competing"])
async def test_a_reader_killed_over_it_is_replaced(
    kit: StreamKit, recorder: Recorder, spawn: Spawn, mode: Mode
) -> None:
    await die(kit, recorder, "a")
    letter = (await kit.dead())[0]
    blocking = kit.event("a", block="first")
    assert await kit.box().edit(letter.id, blocking.to_json(), by="luigi")
    first = await spawn("first", mode)
    assert await kit.box().redrive(letter.id, by="luigi")
    await logged(kit, "first start a")
    first.kill()
    await first.wait()
    assert (await kit.box().counts(), await kit.box().on_their_way(kit.group)) == ({}, 1)
    streams = kit.streams(min_idle=1.5)
    streams.subscriber(kit.stream, mode=mode).on_any(recorder)
    await streams.start()

    async def done() -> bool:
        return recorder.ids == ["a"] and not await kit.box().on_their_way(kit.group)

    await eventually(done)


async def test_a_wiped_server_in_the_middle_stops_nobody(
    own_kit: StreamKit, disposable_server: ServerUnderTest, recorder: Recorder
) -> None:
    """The letters are gone with everything else; the facts are not in Redis. Reading goes on."""
    kit = own_kit
    await die(kit, recorder, "a", "b")
    running, go_on = asyncio.Event(), asyncio.Event()

    async def handler(event: Any) -> None:
        running.set()
        if event.id == "a":
            await go_on.wait()
        await recorder(event)

    await kit.read(handler)
    assert await kit.box().redrive((await kit.dead())[0].id, by="luigi")
    await running.wait()
    await asyncio.to_thread(disposable_server.wipe)
    go_on.set()
    await eventually(lambda: recorder.ids == ["a"])
    assert not await kit.box().redrive("1-1", by="luigi")
    assert await kit.box().counts() == {}
    recorder.failing["c"] = Reject("no")
    await kit.publish(kit.event("c"))
    await eventually(lambda: "c" in recorder.calls)

    async def written() -> bool:
        return len(await kit.dead()) == 1

    await eventually(written)
    recorder.failing.clear()
    assert await kit.box().redrive((await kit.dead())[0].id, by="luigi")
    await eventually(lambda: recorder.calls["c"] == 2)


@pytest.mark.parametrize("batch", [False, True], ids=["single", "batch"])
async def test_a_handler_can_tell_what_was_sent_again(kit: StreamKit, batch: bool) -> None:
    told: list[tuple[str, bool]] = []
    letters: list[str] = []
    streams = ReliableStreams(kit.connections, group="first", keys=kit.keys)
    kit.running.append(streams)
    subscriber = streams.subscriber(kit.stream, batch=batch, retry=kit.quick)

    async def handle(event: Any) -> None:
        told.append((event.id, sent_again()))
        if event.id == "bad" and not sent_again():
            raise Reject("not now")

    async def handle_all(events: Any) -> None:
        for event in events:
            await handle(event)

    async def on_dead(letter: DeadLetter) -> None:
        letters.append(letter.id)

    subscriber.on_dead = on_dead
    if batch:
        subscriber.on_batch(handle_all)
    else:
        subscriber.on_any(handle)
    await streams.start()
    await kit.publish(kit.event("bad"))
    await eventually(lambda: letters)
    assert [letter.id for letter in (await kit.box().page()).letters] == letters
    assert await kit.box().redrive(letters[0], by="luigi")
    await eventually(lambda: ("bad", True) in told)
    await kit.publish(kit.event("good"))
    await eventually(lambda: ("good", False) in told, what="what comes after is not taken for it")
