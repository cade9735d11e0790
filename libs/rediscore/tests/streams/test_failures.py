"""Failures: retries with pauses, what counts as an attempt, dead letters."""

import asyncio
from itertools import pairwise
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from rediscore.retry import Backoff
from rediscore.streams import Postpone, Reason, Reject, RetryPolicy
from rediscore.testing import eventually
from rediscore.testing.streams import Recorder, StreamKit

pytestmark = pytest.mark.proves("R18")


async def test_a_failing_handler_is_tried_again_then_a_dead_letter_says_why(
    kit: StreamKit, recorder: Recorder
) -> None:
    recorder.failing["bad"] = ValueError("no such oven")
    await kit.publish(kit.event("bad"), kit.event("good"))
    await kit.read(recorder)
    await eventually(lambda: "good" in recorder.calls)
    await kit.settled()
    assert recorder.calls == {"bad": 3, "good": 1}
    (letter,) = await kit.dead()
    assert (letter.reason, letter.attempts) == (Reason.HANDLER_FAILED, 3)
    assert letter.error == "ValueError: no such oven"
    assert letter.group == kit.group
    entry_id, fields = (await kit.entries())[0]
    assert (letter.original_id, letter.entry) == (entry_id, fields[b"__data__"])


async def test_failures_before_success_leave_nothing_behind(kit: StreamKit) -> None:
    calls = 0

    async def handler(event: Any) -> None:
        nonlocal calls
        calls += 1
        if calls < 3:
            raise RuntimeError

    await kit.publish(kit.event("a"))
    await kit.read(handler)
    await eventually(lambda: calls == 3)
    await kit.settled()
    assert await kit.dead() == []

    async def keys_left() -> list[bytes]:
        # The lease alone, of this test's own prefix.
        return sorted([key async for key in kit.commands.scan_iter(f"{kit.prefix}:*")])

    async def only_the_lease() -> bool:
        return [key.rsplit(b":", 2)[-2] for key in await keys_left()] == [b"lease"]

    await eventually(only_the_lease)


async def test_the_pause_between_attempts_grows(kit: StreamKit, recorder: Recorder) -> None:
    times: list[float] = []

    async def handler(event: Any) -> None:
        times.append(asyncio.get_running_loop().time())
        raise RuntimeError

    retry = RetryPolicy(max_attempts=4, backoff=Backoff(0.05, 10.0, jitter=False))
    await kit.publish(kit.event("bad"))
    await kit.read(handler, retry=retry)
    await eventually(lambda: len(times) == 4)
    pauses = [after - before for before, after in pairwise(times)]
    assert all(pause >= least for pause, least in zip(pauses, (0.05, 0.1, 0.2), strict=True))


@pytest.mark.parametrize(
    "fields",
    [{"__data__": b"\xff"}, {"__data__": b"{}"}, {"junk": b"x"}, {"__data__": b"\x89BIN\r\n\x1a\n"}],
    ids=["bytes", "no-event", "no-field", "cut-envelope"],
)
async def test_what_cannot_be_parsed_is_a_dead_letter_at_once(
    kit: StreamKit, recorder: Recorder, fields: dict[str, bytes]
) -> None:
    await kit.commands.xadd(kit.stream, fields)
    await kit.publish(kit.event("good"))
    await kit.read(recorder)
    await eventually(lambda: recorder.ids == ["good"])
    await kit.settled()
    (letter,) = await kit.dead()
    assert (letter.reason, letter.attempts) == (Reason.MALFORMED, 0)
    assert next(iter(fields.values())) in letter.entry


async def test_a_handler_can_reject_and_postpone(kit: StreamKit) -> None:
    calls: list[str] = []

    async def handler(event: Any) -> None:
        calls.append(event.id)
        if event.id == "refused":
            raise Reject("This oven was sold.")
        if calls.count("late") < 10:
            raise Postpone("The database is away.", delay=0.01)

    await kit.publish(kit.event("refused"), kit.event("late"))
    await kit.read(handler)
    await eventually(lambda: calls.count("late") == 10)
    await kit.settled()
    # Ten tries are more than the three attempts of the policy: postponing does not count.
    (letter,) = await kit.dead()
    assert (letter.reason, letter.error) == (Reason.REJECTED, "This oven was sold.")
    assert calls.count("refused") == 1


async def test_a_handler_that_hangs_counts_as_failed(kit: StreamKit) -> None:
    calls = 0

    async def handler(event: Any) -> None:
        nonlocal calls
        calls += 1
        await asyncio.Event().wait()

    await kit.publish(kit.event("hangs"))
    await kit.read(handler, retry=RetryPolicy(max_attempts=2, backoff=Backoff(0.01, 0.01), timeout=0.05))
    await eventually(lambda: calls == 2)
    await kit.settled()
    assert [letter.error for letter in await kit.dead()] == ["TimeoutError: "]


async def test_a_handler_that_ends_by_a_cancellation_of_its_own_counts_as_failed(kit: StreamKit) -> None:
    """It waited for a task that somebody cancelled: nobody cancelled the handler."""
    calls: list[str] = []

    async def handler(event: Any) -> None:
        calls.append(event.id)
        if event.id == "bad":
            task = asyncio.create_task(asyncio.sleep(60))
            asyncio.get_running_loop().call_soon(task.cancel)
            await task

    await kit.publish(kit.event("bad"), kit.event("good"))
    await kit.read(handler, concurrency=1)
    await eventually(lambda: "good" in calls)
    await kit.settled()
    assert calls == ["bad"] * 3 + ["good"]
    assert [letter.reason for letter in await kit.dead()] == [Reason.HANDLER_FAILED]


async def test_the_dead_stream_is_bounded(kit: StreamKit) -> None:
    streams = kit.streams(dead_length=10)
    streams.subscriber(kit.stream, retry=kit.quick)
    await kit.publish(*(kit.event(f"e{n}") for n in range(40)))
    await streams.start()
    await eventually(lambda: streams.checks()[kit.stream].status == "reading")
    await kit.settled()
    letters = await kit.dead()
    assert len(letters) == 10
    assert b'"e39"' in letters[-1].entry


async def test_on_dead_must_succeed_before_the_entry_is_acknowledged(
    kit: StreamKit, recorder: Recorder
) -> None:
    told: list[Any] = []
    streams = kit.streams()
    subscriber = streams.subscriber(kit.stream, retry=kit.quick)
    subscriber.on_any(recorder)
    recorder.failing["bad"] = Reject("no")

    async def on_dead(letter: Any) -> None:
        told.append(letter)
        if len(told) < 4:
            raise OSError("The database is away.")

    subscriber.on_dead = on_dead
    await kit.publish(kit.event("bad"), kit.event("good"))
    await streams.start()
    await eventually(lambda: "good" in recorder.calls)
    await kit.settled()
    assert len(told) == 4
    assert told[0].event.id == "bad"
    # Told often, written once.
    assert await kit.dead_length() == 1
    assert recorder.ids == ["bad", "good"]


async def test_a_letter_that_was_written_before_a_crash_is_not_written_again(
    kit: StreamKit, recorder: Recorder
) -> None:
    async def never(letter: Any) -> None:
        raise OSError("The database is away.")

    first = kit.streams(consumer="first")
    subscriber = first.subscriber(kit.stream, retry=kit.quick)
    subscriber.on_any(recorder)
    subscriber.on_dead = never
    recorder.failing["bad"] = ValueError("broken")
    await kit.publish(kit.event("bad"))
    await first.start()
    await eventually(lambda: recorder.calls["bad"] == 3)

    async def written() -> bool:
        return await kit.dead_length() == 1

    await eventually(written)
    await first.stop()
    assert await kit.pending() == 1

    told: list[Any] = []
    second = kit.streams(consumer="second")
    subscriber = second.subscriber(kit.stream, retry=kit.quick)
    subscriber.on_any(recorder)

    async def on_dead(letter: Any) -> None:
        told.append(letter)

    subscriber.on_dead = on_dead
    await second.start()
    await kit.settled()
    assert recorder.calls["bad"] == 3
    assert await kit.dead_length() == 1
    assert [(letter.reason, letter.error, letter.attempts) for letter in told] == [
        (Reason.HANDLER_FAILED, "ValueError: broken", 3)
    ]


async def test_attempts_survive_a_change_of_the_reader(kit: StreamKit, recorder: Recorder) -> None:
    recorder.failing["bad"] = RuntimeError("broken")
    slow = RetryPolicy(max_attempts=3, backoff=Backoff(30.0, 30.0, jitter=False))
    await kit.publish(kit.event("bad"))
    first = await kit.read(recorder, retry=slow)
    await eventually(lambda: recorder.calls["bad"] == 1)
    await first.stop()
    second = await kit.read(recorder, retry=slow)
    await eventually(lambda: recorder.calls["bad"] == 2)
    await second.stop()
    await kit.read(recorder, retry=slow)
    await kit.settled()
    assert recorder.calls["bad"] == 3
    assert [letter.attempts for letter in await kit.dead()] == [3]


async def test_redis_errors_of_handlers_are_failures_like_others(kit: StreamKit, recorder: Recorder) -> None:
    """A handler that uses another Redis must not look like trouble of the stream."""
    recorder.failing["bad"] = RedisConnectionError("another server")
    await kit.publish(kit.event("bad"), kit.event("good"))
    streams = await kit.read(recorder)
    await eventually(lambda: "good" in recorder.calls)
    await kit.settled()
    assert streams.checks()[kit.stream].status == "reading"
    assert [letter.reason for letter in await kit.dead()] == [Reason.HANDLER_FAILED]
