"""What each verb of the queue does."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rediscore.errors import QueueFull, StaleLease
from rediscore.queue import PriorityQueue, QueueStats
from rediscore.retry import Backoff
from rediscore.testing import ServerTime

pytestmark = pytest.mark.proves("R16")

MakeQueue = Callable[..., Any]

NOTHING = timedelta(0)


async def test_claim_carries_what_was_added(timed: PriorityQueue, now: ServerTime) -> None:
    assert await timed.add("a", b"\x00\xff", priority="express")

    claim = await timed.claim("oven-1")

    assert claim is not None
    assert (claim.entry_id, claim.payload, claim.priority, claim.attempt) == ("a", b"\x00\xff", "express", 1)
    assert claim.lease_until == datetime.fromtimestamp(now.ms / 1000 + 10, UTC)
    assert await timed.claim("oven-2") is None


async def test_known_entry_is_not_added_again_in_any_state(timed: PriorityQueue) -> None:
    await timed.add("a", b"first")
    assert not await timed.add("a", b"second")

    claim = await timed.claim("w")
    assert claim is not None
    assert claim.payload == b"first"
    assert not await timed.add("a")

    await timed.nack("a", claim.token, delay=timedelta(seconds=5))
    assert not await timed.add("a")
    assert await timed.stats() == QueueStats(0, 1, 0, 0, None)


async def test_done_entry_is_remembered_for_a_while(timed: PriorityQueue, now: ServerTime) -> None:
    await timed.add("a")
    claim = await timed.claim("w")
    assert claim is not None
    await timed.ack("a", claim.token)

    now.advance(minutes=9)
    assert not await timed.add("a")
    assert await timed.contains(["a"]) == [False]
    now.advance(minutes=2)
    assert await timed.add("a")


async def test_capacity_counts_what_waits_and_what_is_worked_on(
    make_queue: MakeQueue, now: ServerTime
) -> None:
    queue = make_queue(capacity=3, now_ms=now)
    for name in ("leased", "ready"):
        await queue.add(name)
    await queue.add("delayed", delay=timedelta(minutes=1))
    claim = await queue.claim("w")

    with pytest.raises(QueueFull, match="holds 3 entries"):
        await queue.add("too much")
    assert not await queue.add("ready")  # known is no news, full or not

    await queue.ack(claim.entry_id, claim.token)
    assert await queue.add("fits now")


async def test_unknown_class_and_empty_id_are_refused(queue: PriorityQueue) -> None:
    with pytest.raises(ValueError, match="No class 'vip': the queue has express, standard"):
        await queue.add("a", priority="vip")
    with pytest.raises(ValueError, match="needs an id"):
        await queue.add("")


async def test_delayed_entry_is_not_early_and_then_in_its_turn(timed: PriorityQueue, now: ServerTime) -> None:
    await timed.add("later", delay=timedelta(seconds=30))
    assert await timed.claim("w") is None
    now.advance(seconds=29, milliseconds=999)
    assert await timed.claim("w") is None
    now.advance(milliseconds=1)
    await timed.recover()
    await timed.add("after")

    assert [entry.entry_id for entry in await timed.peek()] == ["later", "after"]


async def test_failed_entry_comes_back_after_its_pause_in_its_old_place(
    timed: PriorityQueue, now: ServerTime
) -> None:
    await timed.add("a")
    claim = await timed.claim("w")
    assert claim is not None
    await timed.nack("a", claim.token, delay=timedelta(seconds=5), reason="too hot")
    now.advance(seconds=1)
    await timed.add("b")
    now.advance(seconds=4)

    again = await timed.claim("w")

    assert again is not None
    assert (again.entry_id, again.attempt) == ("a", 2)
    assert again.token > claim.token


async def test_pauses_grow_as_the_backoff_says(make_queue: MakeQueue, now: ServerTime) -> None:
    queue = make_queue(backoff=Backoff(1, 4, jitter=False), max_attempts=6, now_ms=now)
    await queue.add("a")
    for pause in (1, 2, 4, 4, 4):
        claim = await queue.claim("w")
        await queue.nack("a", claim.token)
        now.advance(seconds=pause, milliseconds=-1)
        assert await queue.claim("w") is None
        now.advance(milliseconds=1)
    assert (await queue.claim("w")).attempt == 6


async def test_dead_after_the_last_attempt_with_its_reason(make_queue: MakeQueue, now: ServerTime) -> None:
    queue = make_queue(max_attempts=2, now_ms=now)
    await queue.add("a", b"payload")
    for reason in ("first", "second"):
        claim = await queue.claim("w")
        await queue.nack("a", claim.token, delay=NOTHING, reason=reason)

    assert await queue.claim("w") is None
    (letter,) = await queue.peek(state="dead")
    assert (letter.entry_id, letter.payload, letter.failures, letter.reason) == ("a", b"payload", 2, "second")
    assert await queue.contains(["a"]) == [True]
    assert not await queue.add("a")

    assert await queue.remove("a")
    assert await queue.peek(state="dead") == []


async def test_dead_entries_are_kept_for_their_time_only(make_queue: MakeQueue, now: ServerTime) -> None:
    queue = make_queue(max_attempts=1, dead_retention=timedelta(days=1), now_ms=now)
    await queue.add("a")
    claim = await queue.claim("w")
    await queue.nack("a", claim.token)
    now.advance(hours=23)
    await queue.recover()
    assert len(await queue.peek(state="dead")) == 1

    now.advance(hours=2)
    await queue.recover()

    assert await queue.peek(state="dead") == []
    assert await queue.add("a")


@pytest.mark.proves("Q12")
async def test_released_entry_is_ready_at_once_and_counts_no_attempt(timed: PriorityQueue) -> None:
    await timed.add("a")
    await timed.add("b")
    claim = await timed.claim("w")
    assert claim is not None
    await timed.release("a", claim.token)

    again = await timed.claim("w")

    assert again is not None
    assert (again.entry_id, again.attempt) == ("a", 1)


@pytest.mark.parametrize("state", ["ready", "delayed", "leased"])
async def test_removed_from_any_state(timed: PriorityQueue, state: str) -> None:
    await timed.add("a", delay=timedelta(minutes=1) if state == "delayed" else None)
    claim = await timed.claim("w") if state == "leased" else None

    assert await timed.remove("a")

    assert not await timed.remove("a")
    assert await timed.stats() == QueueStats(0, 0, 0, 0, None)
    if claim is not None:
        for verb in (timed.ack, timed.nack, timed.extend, timed.release):
            with pytest.raises(StaleLease):
                await verb("a", claim.token)


async def test_what_one_can_see_without_changing_it(timed: PriorityQueue, now: ServerTime) -> None:
    await timed.add("standard", b"1")
    now.advance(seconds=90)
    await timed.add("express", b"2", priority="express")
    await timed.add("delayed", delay=timedelta(hours=1))

    for _ in range(2):
        assert [(e.entry_id, e.payload, e.priority) for e in await timed.peek()] == [
            ("express", b"2", "express"),
            ("standard", b"1", "standard"),
        ]
        assert [entry.entry_id for entry in await timed.peek(1)] == ["express"]
        assert await timed.position("express") == 0
        assert await timed.position("standard") == 1
        assert await timed.position("delayed") is None
        assert await timed.position("stranger") is None
        assert await timed.contains(["delayed", "stranger", "express"]) == [True, False, True]
        assert await timed.contains([]) == []
        assert await timed.stats() == QueueStats(2, 1, 0, 0, oldest_age_seconds=90)


@pytest.mark.parametrize("verb", ["ack", "nack", "extend", "release"])
async def test_wrong_token_is_refused_and_changes_nothing(timed: PriorityQueue, verb: str) -> None:
    await timed.add("a")
    claim = await timed.claim("w")
    assert claim is not None

    for entry_id, token in (("a", claim.token + 1), ("a", claim.token - 1), ("b", claim.token)):
        with pytest.raises(StaleLease, match="stop the work"):
            await getattr(timed, verb)(entry_id, token)

    assert (await timed.stats()).leased == 1
    await timed.ack("a", claim.token)


@pytest.mark.parametrize(
    "wrong", [{"head_start": {}}, {"lease": NOTHING}, {"max_attempts": 0}, {"max_recoveries": -1}]
)
def test_options_that_make_no_sense_are_refused(make_queue: MakeQueue, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="A queue needs"):
        make_queue(**wrong)
