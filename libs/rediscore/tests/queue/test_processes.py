"""Real worker processes, killed with -9 and stopped in the middle of their work: all is done, each once."""

import asyncio
import contextlib
import itertools
import os
import random
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

import pytest
from rediscore.client import RedisConnections
from rediscore.queue import NewEntry, PriorityQueue
from rediscore.retry import TRANSIENT
from rediscore.testing import ServerUnderTest, eventually, patient_settings

from .worker_process import LEASE, OPTIONS

MakeQueue = Callable[..., Any]
Spawn = Callable[[int], None]

SOAK_SECONDS = float(os.environ.get("SOAK_SECONDS", "120"))
# Beyond the lease a loaded machine takes its time.
TAKEN_OVER_WITHIN = LEASE.total_seconds() + 10


@dataclass(frozen=True)
class Begun:
    """One attempt, as its worker wrote it down."""

    entry_id: str
    token: int
    pid: int
    at: float


class Workers:
    """What the processes did, and ways to hurt them."""

    def __init__(self, connections: RedisConnections, prefix: str) -> None:
        self._connections, self._prefix = connections, prefix
        self.killed: dict[int, float] = {}

    async def begun(self) -> list[Begun]:
        lines = await self._connections.execute("LRANGE", f"{self._prefix}:begun", 0, -1)
        parts = [line.decode().split() for line in lines]
        return [Begun(entry_id, int(token), int(pid), float(at)) for entry_id, token, pid, at in parts]

    async def busy(self) -> int:
        """The process that began something last and is still there."""

        async def last() -> int:
            lines = await self._connections.execute("LRANGE", f"{self._prefix}:begun", -1, -1)
            pid = int(lines[0].split()[2]) if lines else 0
            return 0 if pid in self.killed else pid

        return await eventually(last, within=40, every=0.001, what="a busy worker")

    async def kill(self) -> None:
        """One that is in the middle of something; the next takes its place."""
        pid = await self.busy()
        with contextlib.suppress(ProcessLookupError):  # poison was faster
            os.kill(pid, signal.SIGKILL)
        self.killed[pid] = time.time()


@pytest.fixture
def workers(connections: RedisConnections, key_prefix: str) -> Workers:
    return Workers(connections, key_prefix)


@pytest.fixture
def queue(make_queue: MakeQueue) -> PriorityQueue:
    made: PriorityQueue = make_queue(**OPTIONS)
    return made


@pytest.fixture
def spawn(redis_url: str, key_prefix: str) -> Iterator[Spawn]:
    """Start so many workers."""
    with contextlib.ExitStack() as stack:
        yield lambda number: stack.enter_context(processes(redis_url, key_prefix, number))


@contextlib.contextmanager
def processes(url: str, prefix: str, number: int) -> Iterator[None]:
    """So many workers, ended at the end."""
    command = [sys.executable, str(Path(__file__).with_name("worker_process.py")), prefix, str(number)]
    with Popen(command, stdin=PIPE, text=True) as parent:
        assert parent.stdin is not None
        parent.stdin.write(url + "\n")
        parent.stdin.flush()
        try:
            yield
        finally:
            parent.terminate()


async def all_ended(queue: PriorityQueue, within: float) -> None:
    async def rested() -> bool:
        stats = await queue.stats()
        return stats.ready + stats.delayed + stats.leased == 0

    await eventually(rested, within=within, every=0.05, what="all entries ended")


async def check(queue: PriorityQueue, workers: Workers, ids: list[str], poison: set[str]) -> None:
    """Each entry is done by its newest token or dead, and what the killed held was begun again in time."""
    attempts: defaultdict[str, list[Begun]] = defaultdict(list)
    for attempt in await workers.begun():
        attempts[attempt.entry_id].append(attempt)
    dead = {entry.entry_id: entry.reason for entry in await queue.peek(1000, state="dead")}
    results = {entry_id: await queue.result(entry_id) for entry_id in ids}
    assert dead.keys() >= poison
    assert set(dead.values()) <= {"lease ran out too often"}
    assert {entry_id for entry_id, result in results.items() if result is None} == dead.keys()
    assert attempts.keys() >= set(ids) - dead.keys()
    for entry_id, tried in attempts.items():
        tokens = [attempt.token for attempt in tried]
        assert tokens == sorted(set(tokens)), entry_id  # nobody works under an old token after a newer one
        if (result := results[entry_id]) is not None:
            assert int(result) == tokens[-1], entry_id
        for attempt, following in itertools.pairwise(tried):
            if attempt.pid in workers.killed:
                gap = following.at - max(attempt.at, workers.killed[attempt.pid])
                assert gap <= TAKEN_OVER_WITHIN, entry_id
    assert (await queue.audit()).faults == []


@pytest.mark.proves("R16", "I3", "Q1", "Q8", "Q11")
async def test_killed_at_random_each_entry_is_done_once_or_dead(
    queue: PriorityQueue, spawn: Spawn, workers: Workers
) -> None:
    ids = [str(number) for number in range(200)]
    await queue.add_many([NewEntry("poison", b"poison"), *map(NewEntry, ids)])
    spawn(3)
    for _ in range(8):
        await workers.kill()
        await asyncio.sleep(0.05)

    await all_ended(queue, within=40)

    await check(queue, workers, [*ids, "poison"], {"poison"})
    assert len(workers.killed) == 8


@pytest.mark.proves("Q2", "Q3")
async def test_stopped_for_longer_than_its_lease_nothing_of_it_counts(
    queue: PriorityQueue, spawn: Spawn, workers: Workers
) -> None:
    """As a process whose event loop or machine stands still: it wakes up and knows nothing of it."""
    await queue.add_many([NewEntry(str(number)) for number in range(100)])
    spawn(1)
    victim = await workers.busy()
    os.kill(victim, signal.SIGSTOP)
    try:
        held = await queue.peek(state="leased")
        assert held  # the fault: it stands still with these
        heirs: dict[str, Any] = {}

        async def taken_over() -> bool:
            for claim in await queue.claim_many("heir", 100, lease=timedelta(minutes=1)):
                heirs[claim.entry_id] = claim
            return heirs.keys() >= {entry.entry_id for entry in held}

        await eventually(taken_over, within=40)
    finally:
        os.kill(victim, signal.SIGCONT)
    before = await workers.begun()
    # It goes on with what it thinks it holds, says that it is done, and asks for more.
    await queue.add("more")
    await eventually(lambda: _begun_since(workers, len(before), "more"), within=40)

    assert all(await queue.extend_many([heirs[entry.entry_id] for entry in held]))
    assert [await queue.result(entry.entry_id) for entry in held] == [None] * len(held)


async def _begun_since(workers: Workers, number: int, entry_id: str) -> bool:
    return any(attempt.entry_id == entry_id for attempt in (await workers.begun())[number:])


@pytest.mark.soak
@pytest.mark.timeout(0)
@pytest.mark.proves("R16", "I3", "Q1", "Q11")
async def test_killed_for_long_while_the_server_restarts(
    disposable_server: ServerUnderTest, make_queue: MakeQueue, key_prefix: str
) -> None:
    """10,000 entries in two minutes; three times the server comes back with what it wrote down."""
    connections = RedisConnections(patient_settings(disposable_server.url))
    queue: PriorityQueue = make_queue(connections, **OPTIONS)
    workers = Workers(connections, key_prefix)
    ids = [str(number) for number in range(round(10_000 * SOAK_SECONDS / 120))]
    chance, begun = random.Random(1), time.monotonic()
    restarts = [begun + SOAK_SECONDS * share for share in (0.75, 0.5, 0.25)]
    try:
        with processes(disposable_server.url, key_prefix, 4):
            adding = asyncio.create_task(add_slowly(queue, ids, SOAK_SECONDS * 0.8))
            while not adding.done():
                await asyncio.sleep(chance.uniform(0.05, 0.5))
                if restarts and time.monotonic() > restarts[-1]:
                    restarts.pop()
                    await asyncio.to_thread(disposable_server.kill)
                    await asyncio.to_thread(disposable_server.start)
                else:
                    await workers.kill()
            await adding
            await all_ended(queue, within=120)
            stats = await queue.stats()
            assert (await queue.audit()).faults == []
            ended = [await queue.result(entry_id) is not None for entry_id in ids]
            assert sum(ended) + stats.dead == len(ids)
            assert not restarts
    finally:
        await connections.aclose()


async def add_slowly(queue: PriorityQueue, ids: list[str], seconds: float) -> None:
    """Spread over so long; sent again until it is accepted, as somebody would who has the facts."""
    for first in range(0, len(ids), 20):
        part = [NewEntry(entry_id) for entry_id in ids[first : first + 20]]
        while True:
            try:
                await queue.add_many(part)
                break
            except TRANSIENT:
                await asyncio.sleep(0.1)
        await asyncio.sleep(seconds * len(part) / len(ids))
