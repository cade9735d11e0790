"""Competing mode: every entry to one of many."""

import asyncio
from typing import Any

import pytest
from rediscore.clock import SystemClock
from rediscore.streams import Reason
from rediscore.streams.acks import AckBatcher
from rediscore.streams.dead_letters import DeadLetters
from rediscore.streams.pending import PendingList
from rediscore.streams.sources import sources_of
from rediscore.streams.work import Flaw
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
    assert await letters.write(letters.letter(other, flaw), other, None)
    acks = AckBatcher(kit.connections, sources=sources, acknowledged=lambda _: None, **places)
    acks.add(other, noted=True)
    await acks.flush()
    assert await letters.write(letters.letter(paused, flaw), paused, None) is None
    assert await kit.dead_length() == 1
    # A wiped stream says nothing about how it ended: better a letter too many than none.
    await kit.commands.delete(kit.stream)
    assert await letters.write(letters.letter(paused, flaw), paused, None)
