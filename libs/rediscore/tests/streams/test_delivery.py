"""Ordered mode without faults of the machine: what is delivered, in which order, and how it ends."""

import asyncio
from typing import Any

import pytest
from pydantic import BaseModel
from rediscore.retry import Backoff
from rediscore.streams import CloudEvent, NotActive, Outcome, Postpone, Reason, RetryPolicy
from rediscore.streams.subscriber import Mode
from rediscore.testing import eventually
from rediscore.testing.streams import Recorder, StreamKit, assert_in_order

pytestmark = pytest.mark.proves("R18")


async def test_events_of_one_subject_never_overlap(kit: StreamKit) -> None:
    running: dict[str, int] = {}
    most: dict[str, int] = {}
    together = 0

    async def handler(event: Any) -> None:
        nonlocal together
        running[event.subject] = running.get(event.subject, 0) + 1
        most[event.subject] = max(most.get(event.subject, 0), running[event.subject])
        together = max(together, sum(running.values()))
        await asyncio.sleep(0.002)
        running[event.subject] -= 1

    await kit.publish(*(kit.event(f"e{n}", f"s{n % 8}") for n in range(160)))
    await kit.read(handler, concurrency=6)
    await eventually(lambda: len(most) == 8 and sum(running.values()) == 0)
    await kit.settled()
    assert set(most.values()) == {1}
    assert together == 6


async def test_types_have_handlers_or_are_ignored_or_are_dead_letters(kit: StreamKit) -> None:
    class Thing(BaseModel):
        size: int

    seen: list[CloudEvent[Thing]] = []
    streams = kit.streams()
    subscriber = streams.subscriber(kit.stream, retry=kit.quick, ignore={"ignored"})

    @subscriber.on("known")
    async def handle(event: CloudEvent[Thing]) -> None:
        seen.append(event)

    await kit.publish(
        kit.event("1", type="unknown"),
        kit.event("2", type="ignored"),
        kit.event("3", type="known", size="not a number"),
        kit.event("4", type="known", size=4, colour="unknown fields are the reader's to ignore"),
    )
    await streams.start()
    await eventually(lambda: len(seen) == 1)
    await kit.settled()
    assert isinstance(seen[0].data, Thing)
    assert seen[0].data.size == 4
    reasons = [(letter.reason, letter.attempts) for letter in await kit.dead()]
    assert reasons == [(Reason.UNKNOWN_TYPE, 0), (Reason.INVALID_PAYLOAD, 0)]
    assert "not a number" not in (await kit.dead())[1].error


async def test_a_plain_function_may_handle(kit: StreamKit) -> None:
    seen: list[str] = []
    streams = kit.streams()

    @streams.subscriber(kit.stream).on("shop.thing.v1")
    def handle(event: CloudEvent[dict[str, Any]]) -> None:
        seen.append(event.id)

    await kit.publish(kit.event("a"))
    await streams.start()
    await eventually(lambda: seen == ["a"])
    await kit.settled()


async def test_a_reader_whose_memory_is_full_is_well(kit: StreamKit) -> None:
    """It reads nothing for longer than the lease and than a silence that would mean trouble."""
    go_on = asyncio.Event()

    async def handler(event: Any) -> None:
        await go_on.wait()

    modes: dict[str, tuple[Mode, float]] = {
        f"{kit.stream}.short": ("ordered", 1.0),
        f"{kit.stream}.long": ("ordered", 60.0),
        f"{kit.stream}.shared": ("competing", 60.0),
    }
    running = []
    for stream, (mode, seconds) in modes.items():
        streams = kit.streams(lease_ttl=seconds, min_idle=seconds)
        streams.subscriber(stream, prefetch=1, mode=mode).on_any(handler)
        await kit.publish(kit.event("a", "s1"), kit.event("b", "s2"), stream=stream)
        await streams.start()
        running.append(streams)
    states: set[str] = set()
    begun = asyncio.get_running_loop().time()

    def long_enough() -> bool:
        if asyncio.get_running_loop().time() - begun > 1.0:
            states.update(check.status for one in running for check in one.checks().values())
        return asyncio.get_running_loop().time() - begun > 5.0

    await eventually(long_enough, within=40)
    assert states == {"reading"}
    go_on.set()
    for stream in modes:
        await kit.settled(stream)


async def test_memory_holds_no_more_than_the_prefetch(kit: StreamKit) -> None:
    started = 0
    go_on = asyncio.Event()

    async def handler(event: Any) -> None:
        nonlocal started
        started += 1
        await go_on.wait()

    await kit.publish(*(kit.event(f"e{n}", f"s{n}") for n in range(50)))
    await kit.read(handler, prefetch=8, concurrency=4)
    await eventually(lambda: started == 4)
    assert await kit.pending() == 8
    go_on.set()
    await eventually(lambda: started == 50)
    await kit.settled()


async def test_failing_subjects_that_fill_the_memory_do_not_stop_reading_for_ever(kit: StreamKit) -> None:
    seen: list[str] = []

    async def handler(event: Any) -> None:
        seen.append(event.id)
        if event.id.startswith("bad"):
            raise RuntimeError

    await kit.publish(*(kit.event(f"bad{n}", f"s{n}") for n in range(7)), kit.event("good", "g"))
    await kit.read(
        handler, prefetch=8, retry=RetryPolicy(max_attempts=2, backoff=Backoff(60.0, 60.0, jitter=False))
    )
    await eventually(lambda: "good" in seen)
    await kit.publish(kit.event("later", "g"))
    # One place is free, the rest waits for its next attempt: so one entry is read.
    await eventually(lambda: "later" in seen)
    assert await kit.pending() >= 7
    assert len(seen) == 7 + 2


async def test_stop_lets_running_handlers_end_and_leaves_the_rest_to_the_next(
    kit: StreamKit, recorder: Recorder
) -> None:
    ended: list[str] = []
    started = asyncio.Event()

    async def handler(event: Any) -> None:
        started.set()
        await asyncio.sleep(0.2)
        ended.append(event.id)

    await kit.publish(*(kit.event(f"e{n}") for n in range(5)))
    streams = kit.streams(lease_ttl=120)
    streams.subscriber(kit.stream).on_any(handler)
    await streams.start()
    await started.wait()
    await streams.stop()
    assert ended == ["e0"]
    assert await kit.pending() == 4
    assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("stream-")]
    # The lease was given back, so the next reader need not wait for it to run out.
    await kit.read(recorder)
    await eventually(lambda: len(recorder.events) == 4)
    assert recorder.ids == ["e1", "e2", "e3", "e4"]
    await kit.settled()


async def test_stop_cuts_off_what_takes_longer_than_the_grace(kit: StreamKit, recorder: Recorder) -> None:
    cancelled = asyncio.Event()
    started = asyncio.Event()

    async def handler(event: Any) -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    await kit.publish(kit.event("slow"))
    streams = await kit.read(handler)
    await started.wait()
    await streams.stop(grace=0.1)
    assert cancelled.is_set()
    assert await kit.pending() == 1
    await kit.read(recorder)
    await eventually(lambda: recorder.ids == ["slow"])
    await kit.settled()


async def test_partitions_are_read_each_assert_in_order(kit: StreamKit, recorder: Recorder) -> None:
    from rediscore.streams import partition_of, stream_names

    streams = kit.streams()
    subscriber = streams.subscriber(kit.stream, partitions=3)
    subscriber.on_any(recorder)
    names = stream_names(kit.stream, 3)
    for n in range(90):
        subject = f"s{n % 10}"
        await kit.publish(kit.event(f"e{n}", subject, n=n), stream=names[partition_of(subject, 3)])
    await streams.start()
    await eventually(lambda: len(recorder.events) == 90)
    assert_in_order(recorder.events)
    assert set(streams.checks()) == set(names)
    for name in names:
        await kit.settled(name)


async def test_a_batch_is_handled_at_once_and_a_bad_event_is_alone_its_fault(kit: StreamKit) -> None:
    batches: list[list[str]] = []

    async def handler(events: Any) -> None:
        batches.append([event.id for event in events])
        if any(event.id == "bad" for event in events):
            raise ValueError("bad")

    events = [kit.event(f"e{n}", f"s{n}") for n in range(6)]
    await kit.publish(*events[:3], kit.event("bad"), *events[3:])
    await kit.commands.xadd(kit.stream, {"junk": "x"})
    await kit.read(handler, batch=True)
    await kit.settled()
    assert batches[0] == ["e0", "e1", "e2", "bad", "e3", "e4", "e5"]
    assert batches[1:] == [["e0"], ["e1"], ["e2"], ["bad"], ["e3"], ["e4"], ["e5"], ["bad"], ["bad"]]
    assert [letter.reason for letter in await kit.dead()] == [Reason.MALFORMED, Reason.HANDLER_FAILED]
    await kit.publish(kit.event("e6"), kit.event("e7"))
    await eventually(lambda: [event_id for batch in batches for event_id in batch][-2:] == ["e6", "e7"])


async def test_injected_events_take_the_same_way(kit: StreamKit, recorder: Recorder) -> None:
    streams = kit.streams()
    subscriber = streams.subscriber(kit.stream, retry=kit.quick)
    subscriber.on_any(recorder)
    told: list[Any] = []

    async def on_dead(letter: Any) -> None:
        told.append(letter)

    subscriber.on_dead = on_dead
    with pytest.raises(NotActive):
        await subscriber.inject(kit.event("early"))
    await streams.start()
    await eventually(subscriber.active)
    assert await subscriber.inject(kit.event("a")) is Outcome.HANDLED
    recorder.failing["bad"] = RuntimeError("no")
    assert await subscriber.inject(kit.event("bad")) is Outcome.DEAD
    assert recorder.calls == {"a": 1, "bad": 3}
    assert [letter.event.id for letter in told] == ["bad"]
    (letter,) = await kit.dead()
    assert (letter.original_id, letter.reason) == ("", Reason.HANDLER_FAILED)
    await streams.stop()
    assert not subscriber.active()
    with pytest.raises(NotActive):
        await subscriber.inject(kit.event("late"))


async def test_an_injected_event_waits_behind_its_subject(kit: StreamKit) -> None:
    log: list[str] = []
    release = asyncio.Event()

    async def handler(event: Any) -> None:
        log.append(f"start {event.id}")
        if event.id == "read":
            await release.wait()
        log.append(f"end {event.id}")

    streams = kit.streams()
    subscriber = streams.subscriber(kit.stream)
    subscriber.on_any(handler)
    await kit.publish(kit.event("read", "s"))
    await streams.start()
    await eventually(lambda: log == ["start read"])
    injected = asyncio.create_task(subscriber.inject(kit.event("injected", "s")))
    await subscriber.inject(kit.event("other", "t"))
    assert log == ["start read", "start other", "end other"]
    release.set()
    await injected
    assert log[3:] == ["end read", "start injected", "end injected"]


async def test_stopping_tells_who_waits_for_an_injected_event(kit: StreamKit) -> None:
    async def handler(event: Any) -> None:
        raise Postpone("never", delay=60.0)

    streams = kit.streams()
    subscriber = streams.subscriber(kit.stream)
    subscriber.on_any(handler)
    await streams.start()
    await eventually(subscriber.active)
    injected = asyncio.create_task(subscriber.inject(kit.event("a")))
    await asyncio.sleep(0)
    await streams.stop()
    with pytest.raises(NotActive):
        await injected


async def test_wrong_registrations_are_refused(kit: StreamKit) -> None:
    streams = kit.streams()
    subscriber = streams.subscriber(kit.stream)
    batch = streams.subscriber(f"{kit.stream}.b", batch=True)

    async def unannotated(event: Any) -> None: ...

    with pytest.raises(TypeError, match="CloudEvent"):
        subscriber.on("a")(unannotated)
    with pytest.raises(TypeError, match="collection of types"):
        streams.subscriber(f"{kit.stream}.c", ignore="a")
    with pytest.raises(ValueError, match="on_batch"):
        batch.on_any(unannotated)
    with pytest.raises(ValueError, match="batch=True"):
        subscriber.on_batch(unannotated)
    with pytest.raises(ValueError, match="at least one attempt"):
        RetryPolicy(max_attempts=0)


async def test_a_subject_that_waits_does_not_fill_the_memory_for_others(kit: StreamKit) -> None:
    """More events behind the failing one than are read ahead."""
    seen: list[str] = []

    async def handler(event: Any) -> None:
        if event.subject == "stuck" and "other" not in seen:
            raise Postpone("its own dependency is down", delay=0.05)
        seen.append(event.id)

    await kit.publish(*(kit.event(f"e{n}", "stuck") for n in range(30)), kit.event("other", "free"))
    await kit.read(handler, prefetch=8)
    await kit.settled()
    assert seen == ["other", *(f"e{n}" for n in range(30))]
