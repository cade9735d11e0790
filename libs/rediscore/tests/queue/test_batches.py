"""Many entries in one round trip: each as if it were alone."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from rediscore.client import RedisConnections
from rediscore.errors import QueueFull
from rediscore.queue import Done, NewEntry, PriorityQueue
from rediscore.testing import FaultProxy, ServerTime

pytestmark = pytest.mark.proves("R16")

MakeQueue = Callable[..., Any]


def entries(*names: str) -> list[NewEntry]:
    return [NewEntry(name, name.encode()) for name in names]


async def test_a_batch_is_claimed_in_order_with_growing_tokens(timed: PriorityQueue) -> None:
    assert await timed.add_many([*entries("a", "b"), NewEntry("c", priority="express")]) == [True] * 3
    assert await timed.add_many(entries("b", "d")) == [False, True]

    claims = await timed.claim_many("w", 3)

    assert [claim.entry_id for claim in claims] == ["c", "a", "b"]
    tokens = [claim.token for claim in claims]
    assert tokens == sorted(set(tokens))
    assert [claim.entry_id for claim in await timed.claim_many("w", 3)] == ["d"]


@pytest.mark.proves("Q2", "Q12")
async def test_ends_of_many_leases(timed: PriorityQueue, now: ServerTime) -> None:
    await timed.add_many(entries("a", "b", "c", "d"))
    done, given_back, extended, lost = await timed.claim_many("w", 4)

    assert await timed.ack_many([done]) == [True]
    assert await timed.release_many([given_back, done]) == [True, False]
    now.advance(seconds=9)
    assert await timed.extend_many([extended, done]) == [True, False]
    now.advance(seconds=2)
    again = [claim for _ in "12" for claim in await timed.claim_many("other", 10)]

    assert {claim.entry_id for claim in again} == {given_back.entry_id, lost.entry_id}
    assert await timed.ack_many([extended, lost]) == [True, False]
    assert await timed.ack_many([]) == await timed.release_many([]) == await timed.extend_many([]) == []


async def test_more_than_fits_is_taken_as_far_as_it_fits(make_queue: MakeQueue) -> None:
    queue = make_queue(capacity=3)
    with pytest.raises(QueueFull, match="holds 3 entries"):
        await queue.add_many(entries("a", "b", "c", "d"))

    assert await queue.contains(["a", "b", "c", "d"]) == [True, True, True, False]


async def test_thousands_at_once(queue: PriorityQueue) -> None:
    names = [f"{n:04}" for n in range(2500)]
    assert sum(await queue.add_many(entries(*names))) == 2500
    taken: list[str] = []
    done = await queue.claim_many("w", 1000)
    while done:
        taken += [claim.entry_id for claim in done]
        done = await queue.claim_many("w", 1000, done=done)

    assert taken == names
    assert (await queue.stats()).leased == 0


async def test_done_and_next_in_one_step_whose_answer_is_lost(
    make_queue: MakeQueue, queue: PriorityQueue, through_proxy: RedisConnections, fault_proxy: FaultProxy
) -> None:
    """Sent again by itself: nothing is acknowledged twice, and the same entries come back."""
    await queue.add_many(entries("a", "b", "c", "d", "e"))
    worker = make_queue(through_proxy)
    first = await worker.claim_many("w", 2)
    fault_proxy.swallow_reply()

    second = await worker.claim_many("w", 2, done=first, claim_id="again")

    assert fault_proxy.swallowed == 1
    assert [claim.entry_id for claim in second] == ["c", "d"]
    assert [claim.entry_id for claim in await queue.claim_many("other", 9)] == ["e"]
    assert await queue.contains(["a", "b"]) == [False, False]


async def test_dead_entries_get_another_life(make_queue: MakeQueue, now: ServerTime) -> None:
    queue = make_queue(max_attempts=1, now_ms=now)
    await queue.add_many(entries("a", "b", "c"))
    for claim in await queue.claim_many("w", 3):
        await queue.nack(claim.entry_id, claim.token, reason="no oven")
        now.advance(seconds=1)
    await queue.add("later")

    assert await queue.redrive(["b", "later", "stranger"]) == ["b"]
    assert await queue.redrive(["b"]) == []
    assert await queue.redrive([]) == []
    assert [(entry.entry_id, entry.reason) for entry in await queue.peek(state="dead")] == [
        ("a", "no oven"),
        ("c", "no oven"),
    ]
    assert await queue.redrive(most=1) == ["a"]
    assert [entry.entry_id for entry in await queue.peek()] == ["later", "b", "a"]
    claim = (await queue.claim_many("w", 2))[1]
    assert (claim.entry_id, claim.attempt) == ("b", 1)


async def test_another_class_another_place(timed: PriorityQueue, now: ServerTime) -> None:
    await timed.add("a")
    now.advance(seconds=1)
    await timed.add_many([*entries("b"), NewEntry("late", delay=timedelta(hours=1))])

    assert await timed.prioritise("b", "express")
    assert await timed.prioritise("late", "express")
    assert not await timed.prioritise("stranger", "express")
    with pytest.raises(ValueError, match="No class 'vip'"):
        await timed.prioritise("b", "vip")

    assert [(entry.entry_id, entry.priority) for entry in await timed.peek()] == [
        ("b", "express"),
        ("a", "standard"),
    ]
    assert [entry.priority for entry in await timed.peek(state="delayed")] == ["express"]
    assert await timed.prioritise("b", "standard")
    assert [entry.entry_id for entry in await timed.peek()] == ["a", "b"]


async def test_who_holds_what_and_until_when(timed: PriorityQueue, now: ServerTime) -> None:
    await timed.add_many(entries("a", "b", "c"))
    (claim,) = await timed.claim_many("oven-1", 1)

    (held,) = await timed.peek(state="leased")

    assert (held.entry_id, held.owner, held.due_at) == ("a", "oven-1", claim.lease_until)
    assert [entry.entry_id for entry in await timed.peek(1, skip=1)] == ["c"]


@pytest.mark.proves("Q2")
async def test_a_result_is_kept_with_the_end_and_refused_of_who_holds_nothing(
    make_queue: MakeQueue, now: ServerTime
) -> None:
    queue = make_queue(max_attempts=2, now_ms=now)
    await queue.add_many(entries("a", "b", "c", "d"))
    (a, *_) = await queue.claim_many("w", 4)
    now.advance(seconds=11)
    again = {claim.entry_id: claim for _ in "abcd" for claim in await queue.claim_many("heir", 4)}

    assert await queue.ack_many([Done(a, b"stale"), Done(again["a"], b"\x00 fresh"), again["b"]]) == [
        False,
        True,
        True,
    ]
    assert await queue.ack_many([Done(a, b"stale again")]) == [False]
    assert [await queue.result(name) for name in "ab"] == [b"\x00 fresh", None]
    assert await queue.nack("c", again["c"].token, delay=timedelta(0), result=b"too early")
    assert await queue.result("c") is None
    last = await queue.claim("w")
    assert not await queue.nack("c", last.token, result=b"gave up")
    assert await queue.result("c") == b"gave up"
    assert not await queue.nack("d", again["d"].token, max_attempts=1, result=b"never again")
    assert await queue.result("d") == b"never again"
