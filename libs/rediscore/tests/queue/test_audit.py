"""The audit sees every way in which records, sets and claims can fall apart, and nothing else."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from rediscore.client import RedisConnections
from rediscore.queue import NewEntry, PriorityQueue, QueueAudit
from rediscore.testing import ServerTime

pytestmark = pytest.mark.proves("R16", "Q11")

MakeQueue = Callable[..., Any]
RANK = 1_800_000_000_000  # of what is added when the test's clock starts
READY = "0000000000000001:ready"


@pytest.fixture
async def busy(make_queue: MakeQueue, now: ServerTime) -> PriorityQueue:
    """A queue that holds one entry in each state, named so."""
    queue: PriorityQueue = make_queue(now_ms=now)
    await queue.add_many([NewEntry(name) for name in ("ready", "leased", "done", "dead")])
    await queue.add("delayed", delay=timedelta(minutes=1))
    claims = {claim.entry_id: claim for claim in await queue.claim_many("w", 4)}
    await queue.release("ready", claims["ready"].token)
    await queue.ack("done", claims["done"].token)
    await queue.nack("dead", claims["dead"].token, max_attempts=1)
    return queue


async def test_where_all_is_well_it_finds_nothing(make_queue: MakeQueue, busy: PriorityQueue) -> None:
    assert await make_queue().audit() == QueueAudit(6, [])  # one record is the queue's own

    await busy.add_many([NewEntry(str(number)) for number in range(2000)])
    await busy.claim_many("w", 700)
    audit = await busy.audit(page=100)

    assert (audit.checked >= 2006, audit.faults) == (True, [])


async def test_an_empty_queue(queue: PriorityQueue) -> None:
    assert await queue.audit() == QueueAudit(0, [])


@pytest.mark.parametrize(
    ("torn", "sentences"),
    [
        (("ZREM", "ready", READY), ["ready is ready by its record, and in the sets: "]),
        (("ZREM", "leased", "leased"), ["leased is leased by its record, and in the sets: "]),
        (("ZREM", "done", "done"), ["done is done by its record, and in the sets: "]),
        (("ZADD", "dead", 1, "delayed"), [
            "delayed is delayed by its record, and in the sets: dead, delayed",
            "delayed is in dead, and its record says delayed",
        ]),
        (("ZADD", "ready", 7, READY), [f"ready is ready at 7, and its record says {RANK}"]),
        (("ZADD", "ready", 7, "0000000000000009:ready"), [
            "0000000000000009:ready is in ready, and its record says ready"
        ]),
        (("HDEL", "entries", "dead"), ["dead is in dead, and its record says nothing"]),
        (("ZADD", "leased", 7, "ghost"), ["ghost is in leased, and its record says nothing"]),
        (("HSET", "claims", "c1", b"\x92\xa6leased\xa4dead"), [
            "claim c1 names leased, which is not held by it",
            "claim c1 names dead, which is not held by it",
        ]),
        (("HDEL", "entries", ""), [
            f"{name} has a number" for name in ("dead", "delayed", "done", "leased", "ready")
        ]),
    ],
)  # fmt: skip
async def test_what_is_torn_is_told(
    busy: PriorityQueue,
    connections: RedisConnections,
    key_prefix: str,
    torn: tuple[Any, ...],
    sentences: list[str],
) -> None:
    command, key, *arguments = torn
    await connections.execute(command, f"{key_prefix}:v1:{{{key_prefix}:work}}:queue:{key}", *arguments)

    faults = sorted((await busy.audit()).faults)

    assert len(faults) == len(sentences)
    assert all(fault.startswith(sentence) for fault, sentence in zip(faults, sorted(sentences), strict=True))
