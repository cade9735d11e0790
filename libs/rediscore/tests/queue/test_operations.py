"""What operators do with a queue."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from rediscore.queue import PriorityQueue
from rediscore.testing import ServerTime

pytestmark = pytest.mark.proves("R16")

MakeQueue = Callable[..., PriorityQueue]
HOUR = timedelta(hours=1)


async def test_hastened_a_delayed_entry_is_ready_now_and_stands_behind_what_was_there(
    timed: PriorityQueue, now: ServerTime
) -> None:
    await timed.add("waits")
    now.advance(seconds=1)
    await timed.add("late", delay=HOUR)

    assert await timed.hasten("late")
    assert await timed.hasten("late")  # sent again

    assert [entry.entry_id for entry in await timed.peek()] == ["waits", "late"]
    assert (await timed.stats()).oldest_age_seconds == 1
    now.advance(seconds=1)
    await timed.add("newer")
    assert await timed.position("late") == 1


async def test_hastened_a_failed_entry_keeps_its_old_place(timed: PriorityQueue, now: ServerTime) -> None:
    await timed.add("old")
    claim = await timed.claim("worker")
    assert claim is not None
    await timed.nack("old", claim.token, delay=HOUR)
    now.advance(seconds=5)
    await timed.add("newer")

    assert await timed.hasten("old")

    assert [entry.entry_id for entry in await timed.peek()] == ["old", "newer"]


async def test_what_is_over_dead_or_unknown_is_not_hastened(queue: PriorityQueue) -> None:
    await queue.add_many([])
    for entry_id in ("dead", "done"):
        await queue.add(entry_id)
        claim = await queue.claim("worker")
        assert claim is not None
        if entry_id == "dead":
            await queue.nack(entry_id, claim.token, max_attempts=1)
        else:
            await queue.ack(entry_id, claim.token)

    assert [await queue.hasten(entry_id) for entry_id in ("dead", "done", "unknown")] == [False] * 3


async def test_found_in_every_state_and_not_when_over(queue: PriorityQueue) -> None:
    async def state() -> str | None:
        found = await queue.find("x")
        return None if found is None else found.state

    assert await state() is None
    await queue.add("x", b"payload", delay=HOUR)
    assert await state() == "delayed"
    await queue.hasten("x")
    assert await state() == "ready"
    claim = await queue.claim("ada")
    assert claim is not None
    found = await queue.find("x")
    assert found is not None
    assert (found.state, found.owner, found.payload, found.due_at) == (
        "leased",
        "ada",
        b"payload",
        claim.lease_until,
    )
    await queue.nack("x", claim.token, reason="broken", max_attempts=1)
    assert await state() == "dead"
    await queue.remove("x")
    assert await state() is None


async def test_a_page_by_the_beginning_of_the_payload_backwards_and_counted(queue: PriorityQueue) -> None:
    for number in range(120):
        await queue.add(
            f"e{number}", b"red" if number % 2 else b"blue", delay=HOUR + timedelta(seconds=number)
        )

    page = await queue.page("delayed", most=50, payload_begins=b"red")
    assert [entry.entry_id for entry in page.entries] == [f"e{n}" for n in range(1, 101, 2)]
    assert page.next is not None
    rest = await queue.page("delayed", most=50, payload_begins=b"red", skip=page.next)
    assert [entry.entry_id for entry in rest.entries] == [f"e{n}" for n in range(101, 120, 2)]
    assert rest.next is None
    last = await queue.page("delayed", most=2, backwards=True)
    assert [entry.entry_id for entry in last.entries] == ["e119", "e118"]
    assert (await queue.count("delayed", only="fresh"), await queue.count("delayed", only="failed")) == (
        120,
        0,
    )
