"""Claiming the first entry of several priority queues, as if they were one."""

import asyncio
from collections.abc import Awaitable, Mapping
from datetime import datetime, timedelta
from typing import TypeVar

from rediscore.queue import Claim, PriorityQueue, QueuedEntry

from kitchen_service.domain.station import Skill
from kitchen_service.domain.ticket import HEAD_START, Priority

Queues = Mapping[Skill, PriorityQueue]
T = TypeVar("T")


async def claim_first(
    queues: Queues, owner: str, *, wait: timedelta, claim_id: str
) -> tuple[Skill, Claim] | None:
    """Lease the entry with the best rank of all heads, waiting for one up to `wait`.

    Between the look and the claim another station may take a head: then ours may go before an entry of the
    other queue that came a moment earlier, which bounds nobody's waiting. Cancelled, it gives back what it
    got. A repeated `claim_id` gets what it holds in the queue that is looked at first; a second lease under
    it, after a lost answer, runs out by itself.

    Round trips: one per queue to look and one to claim, with one queue the claim only; while waiting one
    sleep per queue.
    """
    if len(queues) > 1:
        for skill in await _by_rank(queues):
            claim = await queues[skill].claim(owner, claim_id=claim_id)
            if claim is not None:
                return skill, claim
    if not queues or (len(queues) > 1 and not wait):
        return None
    return await _wait_for_any(queues, owner, wait=wait, claim_id=claim_id)


async def _by_rank(queues: Queues) -> list[Skill]:
    """The skills whose queues have something ready or run out, the best head first; then the others.

    A queue whose head is not ready may hold what has just fallen due: only a claim finds that out.
    """
    heads = await _all({skill: queue.peek(1) for skill, queue in queues.items()})
    ranked = sorted((_rank(head[0]), skill) for skill, head in heads.items() if head)
    first = [skill for _, skill in ranked]
    return first + [skill for skill in queues if skill not in first]


def _rank(head: QueuedEntry) -> datetime:
    return head.entered_at - HEAD_START[Priority(head.priority)]


async def _wait_for_any(
    queues: Queues, owner: str, *, wait: timedelta, claim_id: str
) -> tuple[Skill, Claim] | None:
    waits = {
        asyncio.create_task(queue.claim_wait(owner, wait=wait, claim_id=claim_id)): skill
        for skill, queue in queues.items()
    }
    won: asyncio.Task[Claim | None] | None = None
    try:
        won = await _first_claim(set(waits))
    finally:
        try:
            await _end(waits, queues, but=won)
        except asyncio.CancelledError:
            await _end(waits, queues, but=None)
            raise
    claim = won.result() if won is not None else None
    return None if won is None or claim is None else (waits[won], claim)


async def _first_claim(pending: set[asyncio.Task[Claim | None]]) -> asyncio.Task[Claim | None] | None:
    while pending:
        done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            if task.result() is not None:
                return task
    return None


async def _end(
    waits: Mapping[asyncio.Task[Claim | None], Skill],
    queues: Queues,
    *,
    but: asyncio.Task[Claim | None] | None,
) -> None:
    """End the other waits. Cancelled, they give back what arrives; what one has got already goes back too."""
    others = [task for task in waits if task is not but]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    for task in others:
        if not task.cancelled() and task.exception() is None and (claim := task.result()) is not None:
            await queues[waits[task]].release_many([claim])


async def _all(calls: Mapping[Skill, Awaitable[T]]) -> dict[Skill, T]:
    """The results of all at once."""
    return dict(zip(calls, await asyncio.gather(*calls.values()), strict=True))
