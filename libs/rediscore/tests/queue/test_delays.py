"""Delayed entries: never early, woken without polling, whoever is there when they fall due."""

import asyncio
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from rediscore.client import RedisConnections
from rediscore.queue import Claim, NewEntry, PriorityQueue
from rediscore.retry import Backoff

pytestmark = pytest.mark.proves("R16", "Q6")

MakeQueue = Callable[..., Any]


async def server_us(connections: RedisConnections) -> int:
    seconds, microseconds = await connections.execute("TIME")
    return int(seconds) * 1_000_000 + int(microseconds)


async def test_not_due_before_its_time_not_even_by_a_part_of_a_millisecond(
    queue: PriorityQueue, connections: RedisConnections
) -> None:
    """Times are kept in milliseconds and the server counts in microseconds: due is rounded up."""
    for number in range(20):
        asked = await server_us(connections)
        await queue.add(f"added {number}", delay=timedelta(milliseconds=50))
        await queue.add(f"nacked {number}", priority="express")
        claim = await queue.claim("w")
        assert claim is not None
        nacked = await server_us(connections)
        await queue.nack(claim.entry_id, claim.token, delay=timedelta(seconds=5))
        due = {entry.entry_id: entry.due_at for entry in await queue.peek(100, state="delayed")}

        assert due[f"added {number}"].timestamp() * 1e6 >= asked + 50_000 - 1  # of a float's rounding
        assert due[claim.entry_id].timestamp() * 1e6 >= nacked + 5_000_000 - 1
        await queue.remove(f"added {number}")


@pytest.mark.parametrize("workers", [1, 8])
async def test_each_wakes_one_of_those_who_wait(
    queue: PriorityQueue, connections: RedisConnections, workers: int
) -> None:
    """None is early, none is taken twice, and who waits asks when something falls due, not meanwhile."""
    taken: list[tuple[Claim, float]] = []
    all_taken = asyncio.Event()

    async def work() -> None:
        while True:
            claim = await queue.claim_wait("w", wait=timedelta(seconds=3))
            if claim is not None:
                taken.append((claim, time.monotonic()))
                await queue.ack(claim.entry_id, claim.token)
            if len(taken) == 12:
                all_taken.set()

    working = [asyncio.create_task(work()) for _ in range(workers)]
    due: dict[str, float] = {}
    for number in range(12):
        delay = 0.9 - 0.07 * number if number % 2 else 0.3 + 0.05 * number  # also earlier than all before
        due[str(number)] = time.monotonic() + delay
        await queue.add(str(number), delay=timedelta(seconds=delay))
    before = await scripts_run(connections)
    await asyncio.wait_for(all_taken.wait(), 30)
    asked = await scripts_run(connections) - before
    for task in working:
        task.cancel()
    await asyncio.wait(working)

    assert sorted(claim.entry_id for claim, _ in taken) == sorted(due)
    assert all(at >= due[claim.entry_id] for claim, at in taken)
    # All who wait may look when something falls due; a poll every 10 ms would ask a hundred times each.
    assert asked <= 12 * (3 + 2 * workers)


async def scripts_run(connections: RedisConnections) -> int:
    told = await connections.commands.info("commandstats")
    return sum(stat["calls"] for name, stat in told.items() if name.startswith("cmdstat_eval"))


async def test_all_workers_away_when_it_falls_due(queue: PriorityQueue) -> None:
    await queue.add("late", delay=timedelta(milliseconds=30))
    await queue.add("later", delay=timedelta(milliseconds=60))
    await asyncio.sleep(0.1)

    claims = await queue.claim_many("back again", 5)  # the first look finds them, without waiting

    assert [claim.entry_id for claim in claims] == ["late", "later"]


@pytest.mark.proves("Q9")
async def test_those_who_failed_together_do_not_come_back_together(make_queue: MakeQueue) -> None:
    """Full jitter: anywhere between now and the whole pause."""
    queue = make_queue(backoff=Backoff(60, 60))
    await queue.add_many([NewEntry(str(number)) for number in range(300)])
    claims = await queue.claim_many("w", 300)
    began = claims[0].lease_until - timedelta(seconds=10)
    await asyncio.gather(*(queue.nack(claim.entry_id, claim.token) for claim in claims))

    parts = [0] * 10
    for entry in await queue.peek(300, state="delayed"):
        parts[min(9, int((entry.due_at - began).total_seconds() // 6))] += 1

    assert sum(parts) == 300
    assert min(parts) >= 8  # of 30; by chance once in ten million runs
