"""Leases, fencing tokens, and what happens to the work of the dead."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from rediscore.client import RedisConnections
from rediscore.errors import StaleLease
from rediscore.queue import NewEntry, PriorityQueue, QueueStats
from rediscore.testing import ServerTime

pytestmark = pytest.mark.proves("R16")

MakeQueue = Callable[..., Any]
Wipe = Callable[[], Awaitable[None]]


@pytest.mark.proves("Q2")
async def test_expired_lease_goes_to_the_next_and_the_old_holder_is_refused(
    timed: PriorityQueue, now: ServerTime
) -> None:
    await timed.add("a")
    await timed.add("b")
    dead = await timed.claim("dead")
    assert dead is not None
    now.advance(seconds=10)

    heir = await timed.claim("heir")

    assert heir is not None
    assert heir.entry_id == "a"  # in its old place, before b
    assert heir.attempt == 1  # a lease that ran out is no failure of the work
    assert heir.token > dead.token
    for verb in (timed.ack, timed.nack, timed.extend, timed.release):
        with pytest.raises(StaleLease):
            await verb("a", dead.token)
    await timed.ack("a", heir.token)


@pytest.mark.proves("Q2")
async def test_renewed_lease_holds(timed: PriorityQueue, now: ServerTime) -> None:
    await timed.add("a")
    claim = await timed.claim("w")
    assert claim is not None
    for _ in range(5):
        now.advance(seconds=9)
        until = await timed.extend("a", claim.token)
        assert until.timestamp() * 1000 == now.ms + 10_000
        assert await timed.claim("thief") is None
        assert await timed.recover() == 0


async def test_lease_of_its_own_length(timed: PriorityQueue, now: ServerTime) -> None:
    await timed.add("a")
    claim = await timed.claim("w", lease=timedelta(minutes=1))
    assert claim is not None
    now.advance(seconds=59)
    assert await timed.recover() == 0
    await timed.extend("a", claim.token, lease=timedelta(seconds=2))
    now.advance(seconds=2)
    assert await timed.recover() == 1


async def test_lease_that_ran_out_holds_until_taken_over(timed: PriorityQueue, now: ServerTime) -> None:
    """The work is done and nobody else has begun: nothing is gained by doing it again."""
    await timed.add("a")
    claim = await timed.claim("w")
    assert claim is not None
    now.advance(hours=1)

    await timed.ack("a", claim.token)

    assert await timed.stats() == QueueStats(0, 0, 0, 0, None)


async def test_recover_is_bounded_and_counts(timed: PriorityQueue, now: ServerTime) -> None:
    for n in range(7):
        await timed.add(str(n))
        await timed.claim("dead")
    now.advance(seconds=11)

    assert await timed.recover(limit=5) == 5
    assert await timed.recover(limit=5) == 2
    assert await timed.recover(limit=5) == 0
    assert (await timed.stats()).ready == 7


@pytest.mark.proves("Q8")
async def test_entry_that_kills_its_workers_is_dead_in_the_end(
    make_queue: MakeQueue, now: ServerTime
) -> None:
    queue = make_queue(max_recoveries=3, now_ms=now)
    await queue.add("poison")
    for _ in range(4):
        claim = await queue.claim("w")
        assert claim.attempt == 1
        now.advance(seconds=10)

    assert await queue.claim("w") is None
    (letter,) = await queue.peek(state="dead")
    assert (letter.failures, letter.recoveries, letter.reason) == (0, 4, "lease ran out too often")


@pytest.mark.proves("Q8")
async def test_entry_that_kills_its_workers_takes_no_others_with_it(
    make_queue: MakeQueue, now: ServerTime
) -> None:
    """They were claimed together once; from then on each comes alone."""
    queue = make_queue(max_recoveries=1, now_ms=now)
    await queue.add_many([NewEntry(entry_id) for entry_id in ("poison", "a", "b")])
    assert len(await queue.claim_many("dies", 3)) == 3
    now.advance(seconds=10)
    assert [claim.entry_id for claim in await queue.claim_many("dies too", 3)] == ["poison"]
    now.advance(seconds=10)
    await queue.add("c")

    batches = [await queue.claim_many("w", 3) for _ in range(3)]

    assert [[claim.entry_id for claim in claims] for claims in batches] == [["a"], ["b"], ["c"]]
    assert [entry.entry_id for entry in await queue.peek(state="dead")] == ["poison"]


@pytest.mark.proves("I3")
async def test_tokens_grow_over_releases_failures_clock_jumps_and_a_wipe(
    timed: PriorityQueue, now: ServerTime, wipe: Wipe
) -> None:
    tokens = []

    async def one_more(entry_id: str) -> None:
        claim = await timed.claim("w")
        assert claim is not None
        tokens.append(claim.token)
        assert claim.entry_id == entry_id

    await timed.add("a")
    await one_more("a")
    await timed.release("a", tokens[-1])
    await one_more("a")
    await timed.nack("a", tokens[-1], delay=timedelta(0))
    await one_more("a")
    now.advance(hours=-5)
    await timed.ack("a", tokens[-1])
    await timed.add("b")
    await one_more("b")
    now.advance(hours=5, milliseconds=1)
    await wipe()
    await timed.add("c")
    await one_more("c")
    now.advance(days=300)
    await timed.remove("c")
    await timed.add("d")
    await one_more("d")

    assert tokens == sorted(set(tokens))


async def test_tokens_of_the_servers_clock_grow_too(queue: PriorityQueue, wipe: Wipe) -> None:
    tokens = []
    for n in range(20):
        await queue.add(str(n))
        claim = await queue.claim("w")
        assert claim is not None
        tokens.append(claim.token)
        if n % 5 == 4:
            await wipe()

    assert tokens == sorted(set(tokens))


async def test_nothing_is_kept_of_what_is_over(
    timed: PriorityQueue, now: ServerTime, connections: RedisConnections, key_prefix: str
) -> None:
    """Keys are bounded by what is live: the past is trimmed, not collected."""
    for n in range(200):
        await timed.add(str(n))
        claim = await timed.claim("w")
        assert claim is not None
        await timed.ack(claim.entry_id, claim.token)
    now.advance(hours=1)
    while True:
        await timed.recover(limit=1000)
        left = [key async for key in connections.commands.scan_iter(match=f"{key_prefix}:*", count=1000)]
        if len(left) == 1:
            break

    assert left[0].endswith(b"entries")  # the queue's own record
