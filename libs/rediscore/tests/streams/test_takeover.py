"""Several instances: who reads, and what happens to the work of one that is gone."""

import asyncio
import signal
from collections import Counter
from typing import Any

import pytest
from rediscore.streams import Reason
from rediscore.streams.subscriber import Mode
from rediscore.testing import eventually
from rediscore.testing.streams import Recorder, StreamKit, assert_in_order

from .conftest import Spawn, log_of, logged

pytestmark = pytest.mark.proves("R18")


async def test_one_reads_and_the_other_stands_by(kit: StreamKit, recorder: Recorder) -> None:
    first, second = [kit.streams(consumer=name, lease_ttl=120) for name in ("first", "second")]
    for streams in (first, second):
        streams.subscriber(kit.stream).on_any(recorder)
        await streams.start()
    await eventually(
        lambda: {s.checks()[kit.stream].status for s in (first, second)} == {"reading", "standby"}
    )
    assert all(s.checks()[kit.stream].healthy for s in (first, second))
    active, waiting = (first, second) if first.checks()[kit.stream].status == "reading" else (second, first)
    await kit.publish(kit.event("a"))
    await eventually(lambda: recorder.ids == ["a"])
    await active.stop()
    assert active.checks()[kit.stream].status == "down"
    await kit.publish(kit.event("b"))
    await eventually(lambda: recorder.ids == ["a", "b"])
    assert waiting.checks()[kit.stream].status == "reading"


async def test_a_killed_reader_is_replaced_and_its_work_done_first(kit: StreamKit, spawn: Spawn) -> None:
    """kill -9 in the middle of a handler, with more in memory."""
    first = await spawn("first")
    await kit.publish(
        kit.event("done", "s1"), kit.event("cut", "s1", block="first"), kit.event("waiting", "s1")
    )
    await logged(kit, "first start cut")
    await logged(kit, "first end done")
    second = await spawn("second")
    first.kill()
    await first.wait()
    await kit.publish(kit.event("new", "s1"))
    await logged(kit, "second end new", within=40)
    await kit.settled()
    # The ack of "done" may not have left the first process; that is what at-least-once means.
    log = [line for line in await log_of(kit) if not line.endswith(" done")]
    assert log == [
        "first start cut",
        *(f"second {what} {event}" for event in ("cut", "waiting", "new") for what in ("start", "end")),
    ]
    assert second.returncode is None


async def test_a_reader_that_was_paused_beyond_its_lease_does_nothing_more(
    kit: StreamKit, spawn: Spawn
) -> None:
    first = await spawn("first")
    await kit.publish(*(kit.event(f"e{n}", "s1", seconds=0.1) for n in range(12)))
    await logged(kit, "first start e2")
    first.send_signal(signal.SIGSTOP)
    before = await log_of(kit)
    await spawn("second")
    await logged(kit, "second start e4")
    first.send_signal(signal.SIGCONT)
    await logged(kit, "second end e11")
    await kit.settled()
    after = (await log_of(kit))[len(before) :]
    # The handler in which it was paused may go on; nothing else may begin there.
    assert [line for line in after if line.startswith("first start")] == []
    # The ack of e1 may not have left it.
    ended = [line for line in after if line.startswith("second end") and line != "second end e1"]
    assert ended == [f"second end e{n}" for n in range(2, 12)]
    # It is well, and takes its turn when the other goes.
    assert first.returncode is None


async def test_a_paused_reader_strands_nothing_that_it_reads_late(kit: StreamKit, recorder: Recorder) -> None:
    """Its read reaches the server when another reader has drained what is pending: it must get nothing."""
    from rediscore.errors import LeaseLost
    from rediscore.streams.ordered import OrderedReader
    from rediscore.streams.session import Session

    stale = kit.streams(consumer="stale")
    subscriber = stale.subscriber(kit.stream)
    subscriber.on_any(recorder)
    await stale.start()
    await eventually(subscriber.active)
    reader = subscriber.readers[0]
    assert isinstance(reader, OrderedReader)
    session = reader.session
    assert isinstance(session, Session)
    lease = session.lease
    assert lease is not None
    # As if its lease had run out and another had taken over while it was paused.
    await kit.commands.set(lease.key, "another")
    await kit.publish(kit.event("not yours"))
    with pytest.raises(LeaseLost):
        await reader._read_new(session, lease, 10)
    assert await kit.commands.xpending(kit.stream, kit.group) == {
        "pending": 0,
        "min": None,
        "max": None,
        "consumers": [],
    }
    await eventually(lambda: stale.checks()[kit.stream].status == "standby")
    assert recorder.ids == []
    await kit.commands.delete(lease.key)
    await eventually(lambda: recorder.ids == ["not yours"])


async def test_an_entry_that_kills_its_reader_is_a_dead_letter_and_its_neighbours_are_not(
    kit: StreamKit, spawn: Spawn
) -> None:
    await kit.publish(
        *(kit.event(f"before{n}", f"s{n}", seconds=0.05) for n in range(3)),
        kit.event("killer", "k", die=True),
        *(kit.event(f"after{n}", f"t{n}") for n in range(3)),
    )
    deaths = 0
    for _ in range(8):
        process = await spawn("reader", max_reclaims=2)

        async def ended(process: Any = process) -> bool:
            return process.returncode is not None or await kit.dead_length() > 0

        await eventually(ended, within=40)
        if process.returncode is None:
            break
        deaths += 1
    await kit.settled()
    assert deaths == 3
    (letter,) = await kit.dead()
    assert (letter.reason, letter.attempts) == (Reason.RECLAIM_LIMIT, 0)
    assert b'"killer"' in letter.entry
    log = await log_of(kit)
    assert {f"reader end {where}{n}" for where in ("before", "after") for n in range(3)} <= set(log)


async def test_two_readers_changing_all_the_time_lose_and_disorder_nothing(kit: StreamKit) -> None:
    """Readers come and go every few events; each stop is graceful, so nothing is handled twice either."""
    recorder = Recorder()

    async def handler(event: Any) -> None:
        await recorder(event)
        await asyncio.sleep(0.001)

    await kit.publish(*(kit.event(f"e{n}", f"s{n % 5}", n=n) for n in range(400)))
    while len(recorder.events) < 400:
        streams = await kit.read(handler, prefetch=20)
        goal = min(len(recorder.events) + 40, 400)
        await eventually(lambda goal=goal: len(recorder.events) >= goal)  # type: ignore[misc]
        await streams.stop()
    assert await kit.pending() == 0
    assert_in_order(recorder.events)
    assert set(recorder.calls.values()) == {1}


@pytest.mark.proves("X2")
@pytest.mark.parametrize("mode", ["ordered", "competing"])
async def test_a_reader_whose_loop_stood_still_begins_nothing_that_others_took(
    kit: StreamKit, spawn: Spawn, recorder: Recorder, mode: Mode
) -> None:
    """A handler blocks the loop for longer than lease and idle time: what it had behind that is another's."""
    first = await spawn("first", mode, concurrency=1)
    await kit.publish(kit.event("known"))
    await logged(kit, "first end known")
    await kit.settled()
    await kit.publish(kit.event("stall", stall=4.0), *(kit.event(f"e{n}") for n in range(6)))
    await logged(kit, "first start stall")
    streams = kit.streams(min_idle=1.5)
    streams.subscriber(kit.stream, mode=mode).on_any(recorder)
    await streams.start()
    await logged(kit, "first end stall")
    await kit.settled()
    begun = Counter(line.split(" start ")[1] for line in await log_of(kit) if " start " in line)
    both = begun + recorder.calls
    # Only the one in which the loop stood still runs twice: nobody can tell its reader from a dead one.
    assert both.pop("stall") == 2
    assert both == {"known": 1, **{f"e{n}": 1 for n in range(6)}}
    assert set(recorder.calls) == {"stall", *(f"e{n}" for n in range(6))}
    assert first.returncode is None
