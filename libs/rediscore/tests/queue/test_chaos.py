"""Workers that stall, die and are cancelled, over connections that break: all work is done, each once."""

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from rediscore.client import RedisConnections
from rediscore.errors import StaleLease
from rediscore.queue import Claim, PriorityQueue, QueueStats
from rediscore.testing import FaultProxy, eventually

MakeQueue = Callable[..., Any]
ENTRIES = 120


class Ledger:
    """The resource behind the queue: begins and ends work by the newest token only, as a database would."""

    def __init__(self) -> None:
        self.newest: dict[str, int] = {}
        self.finished: Counter[str] = Counter()
        self.refused = 0

    def begin(self, claim: Claim) -> bool:
        if claim.token <= self.newest.get(claim.entry_id, 0):
            return False
        self.newest[claim.entry_id] = claim.token
        return not self.finished[claim.entry_id]

    def finish(self, claim: Claim) -> bool:
        if claim.token != self.newest[claim.entry_id] or self.finished[claim.entry_id]:
            self.refused += 1
            return False
        self.finished[claim.entry_id] += 1
        return True


async def work(queue: PriorityQueue, ledger: Ledger, chance: random.Random) -> None:
    while len(ledger.finished) < ENTRIES:
        with contextlib.suppress(StaleLease, RedisConnectionError):
            claim = await queue.claim_wait("w", wait=timedelta(seconds=1))
            if claim is None:
                continue
            if not ledger.begin(claim):
                await queue.ack(claim.entry_id, claim.token)
                continue
            fate = chance.random()
            if fate < 0.08:  # dies: nobody acks
                continue
            if fate < 0.16:  # stalls beyond its lease
                await asyncio.sleep(0.4)
            elif fate < 0.24:
                await queue.nack(claim.entry_id, claim.token, delay=timedelta(0))
                continue
            if ledger.finish(claim):
                await queue.ack(claim.entry_id, claim.token)


@pytest.mark.proves("R16", "I3", "Q1", "Q2", "Q11")
async def test_all_work_is_done_once_whatever_happens_to_workers_and_connections(
    make_queue: MakeQueue, through_proxy: RedisConnections, fault_proxy: FaultProxy
) -> None:
    chance, ledger = random.Random(16), Ledger()
    options = {"lease": timedelta(milliseconds=250), "max_attempts": 100, "max_recoveries": 100}
    flaky, steady = make_queue(through_proxy, **options), make_queue(**options)
    for n in range(ENTRIES):
        await steady.add(str(n), priority=chance.choice(["standard", "express"]))

    workers = [asyncio.create_task(work(flaky, ledger, chance)) for _ in range(6)]
    resets = cancelled = 0
    async with asyncio.timeout(60):
        while len(ledger.finished) < ENTRIES:
            await asyncio.sleep(0.03)
            fault = chance.randrange(3)
            if fault == 0:
                fault_proxy.swallow_reply(after=b"EVAL")
            elif fault == 1:
                resets += bool(fault_proxy.links)
                fault_proxy.reset()
            else:
                victim = chance.randrange(len(workers))
                cancelled += workers[victim].cancel()
                await asyncio.wait({workers[victim]})
                workers[victim] = asyncio.create_task(work(flaky, ledger, chance))
        await asyncio.gather(*workers)

    assert min(fault_proxy.swallowed, resets, cancelled, ledger.refused) > 0  # the faults did happen
    assert set(ledger.finished) == {str(n) for n in range(ENTRIES)}
    assert set(ledger.finished.values()) == {1}

    async def drained() -> bool:
        if (claim := await steady.claim("w")) is not None:
            await steady.ack(claim.entry_id, claim.token)
        return bool(await steady.stats() == QueueStats(0, 0, 0, 0, None))

    await eventually(drained, what="empty queue")
    assert (await steady.audit()).faults == []
