"""Who comes first: FIFO inside a class, express before standard, and a bounded wait for all."""

import os
from datetime import timedelta
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rediscore.client import RedisConnections
from rediscore.keys import KeySpace
from rediscore.queue import PriorityQueue
from rediscore.testing import ServerTime

pytestmark = pytest.mark.proves("R16")


SOAK_SECONDS = float(os.environ.get("SOAK_SECONDS", "120"))


async def taken(queue: PriorityQueue) -> list[str]:
    order = []
    while (claim := await queue.claim("w")) is not None:
        order.append(claim.entry_id)
        await queue.ack(claim.entry_id, claim.token)
    return order


@pytest.mark.proves("Q4")
async def test_fifo_inside_a_class_even_within_one_millisecond(timed: PriorityQueue) -> None:
    # Text order of the ids is the opposite of their arrival, and there are more than ten of them.
    ids = [f"{1000 - n}" for n in range(120)]
    for entry_id in ids:
        await timed.add(entry_id)

    assert await taken(timed) == ids


async def test_express_before_standard_that_came_less_than_the_head_start_earlier(
    timed: PriorityQueue, now: ServerTime
) -> None:
    await timed.add("standard")
    now.advance(minutes=9, seconds=59)
    await timed.add("express", priority="express")

    assert await taken(timed) == ["express", "standard"]


async def test_nobody_is_overtaken_by_what_comes_later_than_the_head_start(
    timed: PriorityQueue, now: ServerTime
) -> None:
    await timed.add("standard")
    now.advance(minutes=10, milliseconds=1)
    await timed.add("express", priority="express")

    assert await taken(timed) == ["standard", "express"]


@pytest.mark.proves("Q5")
async def test_standard_is_served_under_an_endless_stream_of_express(
    timed: PriorityQueue, now: ServerTime
) -> None:
    await timed.add("standard")
    for minute in range(60):
        await timed.add(f"express-{minute}", priority="express")
        claim = await timed.claim("w")
        assert claim is not None
        await timed.ack(claim.entry_id, claim.token)
        if claim.entry_id == "standard":
            break
        now.advance(minutes=1)

    assert claim is not None
    assert claim.entry_id == "standard"
    assert minute <= 11


@pytest.mark.proves("Q4")
async def test_fifo_survives_a_clock_that_runs_backwards(timed: PriorityQueue, now: ServerTime) -> None:
    await timed.add("first")
    now.advance(hours=-1)
    await timed.add("second")
    now.advance(hours=2)
    await timed.add("third")

    assert await taken(timed) == ["first", "second", "third"]


HEAD_START_MS = {"low": 0, "middle": 5_000, "high": 30_000}
arrivals = st.lists(
    st.tuples(
        st.integers(-2_000, 8_000),
        st.sampled_from(sorted(HEAD_START_MS)),
        st.sampled_from([0, 0, 0, 3_000, 20_000]),
        st.lists(st.sampled_from(["ack", "nack", "release"]), max_size=2),
    ),
    min_size=2,
    max_size=25,
)


async def check_the_bound(
    connections: RedisConnections, key_prefix: str, arrivals: list[tuple[int, str, int, list[str]]]
) -> None:
    """For any arrivals, now or delayed, mixed with any claims, over clocks that jump: who comes later goes
    first only with a better class, and only when it came later by less than the difference of the head
    starts. So an entry of the lowest class waits for those that come within that difference, and no longer.
    """
    ms = 1_800_000_000_000
    clock = 0  # of the queue: from its first use on it never runs backwards
    queue = PriorityQueue(
        connections,
        uuid4().hex,
        keys=KeySpace(key_prefix),
        head_start={name: timedelta(milliseconds=start) for name, start in HEAD_START_MS.items()},
        lease=timedelta(days=1),
        now_ms=lambda: ms,
    )
    entered: dict[str, tuple[int, int]] = {}  # id -> entry time, head start
    over: set[str] = set()

    async def take(end: str) -> None:
        waiting = {entry.entry_id for entry in await queue.peek(100)}
        if (claim := await queue.claim("w")) is None:
            return
        time, start = entered[claim.entry_id]
        for overtaken in waiting - {claim.entry_id}:
            other_time, other_start = entered[overtaken]
            if (other_time, int(overtaken)) < (time, int(claim.entry_id)):
                assert start > other_start
                assert time - other_time <= start - other_start
        if end == "ack":
            await queue.ack(claim.entry_id, claim.token)
            over.add(claim.entry_id)
        elif end == "nack":
            await queue.nack(claim.entry_id, claim.token, delay=timedelta(seconds=1), max_attempts=99)
        else:
            await queue.release(claim.entry_id, claim.token)

    for gap, name, delay, claims in arrivals:
        ms += gap
        clock = max(clock, ms)
        entry_id = f"{len(entered)}"
        await queue.add(entry_id, priority=name, delay=timedelta(milliseconds=delay))
        entered[entry_id] = (clock + delay, HEAD_START_MS[name])
        for end in claims:
            await take(end)
    while len(over) < len(entered):
        ms += 1_000
        await take("ack")


@pytest.mark.proves("Q5")
@given(arrivals=arrivals)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_overtaking_is_bounded_by_the_head_start(
    connections: RedisConnections, key_prefix: str, arrivals: list[tuple[int, str, int, list[str]]]
) -> None:
    await check_the_bound(connections, key_prefix, arrivals)


@pytest.mark.soak
@pytest.mark.timeout(0)
@pytest.mark.proves("Q5")
@given(arrivals=arrivals)
@settings(
    max_examples=max(30, round(5 * SOAK_SECONDS)),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
async def test_overtaking_is_bounded_by_the_head_start_in_many_ways(
    connections: RedisConnections, key_prefix: str, arrivals: list[tuple[int, str, int, list[str]]]
) -> None:
    await check_the_bound(connections, key_prefix, arrivals)
