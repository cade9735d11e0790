"""Competing mode: every entry to one of many."""

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rediscore.clock import SystemClock
from rediscore.streams import Reason
from rediscore.streams.acks import AckBatcher
from rediscore.streams.dead_letters import DeadLetters
from rediscore.streams.pending import PendingList
from rediscore.streams.sources import sources_of
from rediscore.streams.work import Flaw
from rediscore.testing import eventually
from rediscore.testing.streams import Recorder, StreamKit

pytestmark = pytest.mark.proves("R18")


async def test_instances_share_the_entries(kit: StreamKit) -> None:
    recorders = [Recorder(), Recorder()]
    for recorder in recorders:

        async def handler(event: Any, recorder: Recorder = recorder) -> None:
            await recorder(event)
            await asyncio.sleep(0.001)

        streams = kit.streams()
        streams.subscriber(kit.stream, mode="competing", prefetch=10).on_any(handler)
        await streams.start()
    await kit.publish(*(kit.event(f"e{n}") for n in range(200)))
    await kit.settled()
    calls = recorders[0].calls + recorders[1].calls
    assert len(calls) == 200
    assert set(calls.values()) == {1}
    assert all(recorder.events for recorder in recorders)


async def test_failures_and_poison_end_as_in_ordered_mode(kit: StreamKit, recorder: Recorder) -> None:
    recorder.failing["bad"] = ValueError("no")
    await kit.commands.xadd(kit.stream, {"junk": "x"})
    await kit.publish(kit.event("bad"), kit.event("good"))
    streams = kit.streams()
    streams.subscriber(kit.stream, mode="competing", retry=kit.quick).on_any(recorder)
    await streams.start()
    await kit.settled()
    assert recorder.calls == {"bad": 3, "good": 1}
    assert [letter.reason for letter in await kit.dead()] == [Reason.MALFORMED, Reason.HANDLER_FAILED]


async def test_a_slow_handler_keeps_what_it_has(kit: StreamKit) -> None:
    """Longer than `min_idle`: the others see that its reader lives."""
    recorders = [Recorder(), Recorder()]
    for recorder in recorders:

        async def handler(event: Any, recorder: Recorder = recorder) -> None:
            await recorder(event)
            await asyncio.sleep(1.0)

        streams = kit.streams(min_idle=0.3)
        streams.subscriber(kit.stream, mode="competing").on_any(handler)
        await streams.start()
    await kit.publish(*(kit.event(f"e{n}") for n in range(4)))
    await kit.settled()
    assert (recorders[0].calls + recorders[1].calls).most_common(1)[0][1] == 1


async def test_what_a_killed_instance_held_is_taken_over(
    kit: StreamKit, redis_url: str, recorder: Recorder
) -> None:
    script = Path(__file__).with_name("reader_process.py")
    process = subprocess.Popen(
        [sys.executable, script, redis_url, kit.prefix, "first", "competing", "20", "16"]
    )
    try:
        await kit.publish(*(kit.event(f"e{n}", block="first") for n in range(5)))

        async def started() -> bool:
            return int(await kit.commands.llen(f"{kit.prefix}:log")) == 5

        await eventually(started, within=10.0)
    finally:
        process.kill()
        process.wait()
    streams = kit.streams(min_idle=0.3)
    streams.subscriber(kit.stream, mode="competing").on_any(recorder)
    await streams.start()
    await eventually(lambda: len(recorder.calls) == 5)
    await kit.settled()
    assert set(recorder.calls.values()) == {1}


async def test_a_vanished_stream_is_made_again(kit: StreamKit, recorder: Recorder) -> None:
    streams = kit.streams()
    streams.subscriber(kit.stream, mode="competing").on_any(recorder)
    await streams.start()
    await kit.publish(kit.event("before"))
    await eventually(lambda: "before" in recorder.calls)
    await kit.commands.delete(kit.stream)
    await kit.publish(kit.event("after"))
    await eventually(lambda: "after" in recorder.calls, within=1.0)
    await eventually(lambda: streams.checks()[kit.stream].status == "reading")


async def test_consumers_that_are_gone_are_forgotten_unless_they_hold_something(kit: StreamKit) -> None:
    from rediscore.scripts import Script

    await kit.publish(kit.event("a"))
    await kit.commands.xgroup_create(kit.stream, kit.group, id="0")
    await kit.commands.xreadgroup(kit.group, "holds", {kit.stream: ">"})
    for name in ("gone", "me"):
        await kit.commands.xgroup_createconsumer(kit.stream, kit.group, name)
    forget = Script.load("rediscore.streams.lua", "forget_consumers.lua")
    assert await forget(kit.connections, keys=[kit.stream], args=[kit.group, "me", 0]) == 1
    left = {info["name"] for info in await kit.commands.xinfo_consumers(kit.stream, kit.group)}
    assert left == {b"holds", b"me"}


async def test_who_comes_too_late_writes_no_second_letter(kit: StreamKit) -> None:
    """Paused beyond `min_idle` in its last attempt, while another has failed, buried and acknowledged."""
    await kit.publish(kit.event("bad"))
    await kit.commands.xgroup_create(kit.stream, kit.group, id="0")
    await kit.commands.xreadgroup(kit.group, "gone", {kit.stream: ">"})
    failures = kit.keys.key("failures", tag=kit.stream)
    places: Any = {"group": kit.group, "failures_key": failures}
    sources = sources_of(kit.stream, kit.group)
    pending = PendingList(kit.connections, source=sources[0], consumer="reader", **places)
    letters = DeadLetters(kit.connections, stream=kit.stream, clock=SystemClock(), max_length=10, **places)
    entries = await pending.page(None, count=10)
    (paused,) = await pending.claim(entries, lease=None)
    (other,) = await pending.claim(entries, lease=None)
    flaw = Flaw(Reason.HANDLER_FAILED, "no")
    assert await letters.write(letters.letter(other, flaw), other, None) == 0
    acks = AckBatcher(kit.connections, sources=sources, acknowledged=lambda _: None, **places)
    acks.add(other, noted=True)
    await acks.flush()
    assert await letters.write(letters.letter(paused, flaw), paused, None) is None
    assert await kit.dead_length() == 1
    # A wiped stream says nothing about how it ended: better a letter too many than none.
    await kit.commands.delete(kit.stream)
    assert await letters.write(letters.letter(paused, flaw), paused, None) == 0
