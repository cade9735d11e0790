"""Tasks under fault: killed workers, stalled loops, poison, storms."""

import asyncio
import os
import random
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from subprocess import Popen

import pytest
from rediscore.client import RedisConnections
from rediscore.keys import KeySpace
from rediscore.retry import Backoff
from rediscore.tasks import Retry, TaskDead, Tasks, Worker
from rediscore.tasks.message import Message
from rediscore.testing import eventually, patient_settings

pytestmark = pytest.mark.proves("R17")

Start = Callable[..., Worker]
Spawn = Callable[[], Popen[bytes]]

LEASE = 3.0
"""Of jobs.py and of the fixture, seconds."""


async def at_rest(tasks: Tasks) -> bool:
    stats = await tasks.queue.stats()
    return stats.ready + stats.delayed + stats.leased == 0


async def kill_and_replace(
    tasks: Tasks, spawn: Spawn, connections: RedisConnections, prefix: str, *, jobs: int, until: float
) -> None:
    """Workers are killed at random while they count; every number is counted once, or its call is dead."""

    @tasks.task()
    async def count(number: int) -> None: ...

    dice = random.Random(7)
    workers = [spawn(), spawn()]
    await count.delay_many([[number] for number in range(jobs)])

    async def counted() -> int:
        return int(await connections.execute("HLEN", f"{prefix}:counted"))

    async def some() -> bool:
        return await counted() > 0

    await eventually(some, within=30)
    end, kills = time.monotonic() + until, 0
    while kills < 2 or (time.monotonic() < end and not await at_rest(tasks)):
        if await at_rest(tasks):  # so fast that nobody was killed at work
            await count.delay_many([[number] for number in range(jobs, jobs + 3000)])
            jobs += 3000
        victim = dice.randrange(len(workers))
        workers[victim].kill()
        workers[victim].wait()
        workers[victim] = spawn()
        kills += 1
        await asyncio.sleep(dice.uniform(0.2, 1.0))
    assert kills >= 2
    await eventually(lambda: at_rest(tasks), within=60)
    dead = await tasks.queue.peek(1000, state="dead")
    assert {entry.reason for entry in dead} <= {"lease ran out too often"}
    done = {int(number) for number in await connections.execute("HKEYS", f"{prefix}:counted")}
    # One may be both: its last worker died between counting and the acknowledgement.
    assert done | {Message.decode(entry.payload).args[0] for entry in dead} == set(range(jobs))


@pytest.mark.proves("Q1")
async def test_workers_killed_at_random_lose_and_double_nothing(
    tasks: Tasks, spawn: Spawn, connections: RedisConnections, key_prefix: str
) -> None:
    await kill_and_replace(tasks, spawn, connections, key_prefix, jobs=3000, until=0)


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.proves("Q1")
async def test_for_a_long_time_too(
    tasks: Tasks, spawn: Spawn, connections: RedisConnections, key_prefix: str
) -> None:
    seconds = float(os.environ.get("SOAK_SECONDS", "120"))
    jobs = int(seconds * 1000)
    await kill_and_replace(tasks, spawn, connections, key_prefix, jobs=jobs, until=seconds)


@pytest.mark.proves("Q1")
async def test_what_a_killed_worker_held_runs_again_within_its_lease_and_two_seconds(
    tasks: Tasks, spawn: Spawn, start: Start, connections: RedisConnections, key_prefix: str
) -> None:
    again = asyncio.Event()
    victim = spawn()

    @tasks.task()
    async def slow(number: int) -> None:
        again.set()

    await slow.delay(7)

    async def began() -> bool:
        return bool(await connections.execute("LLEN", f"{key_prefix}:began"))

    await eventually(began, within=30)
    start()  # in this process, idle: it waits for the lease alone
    victim.kill()
    victim.wait()
    await asyncio.wait_for(again.wait(), LEASE + 2)


@pytest.mark.proves("Q2", "Q3")
async def test_a_worker_that_stood_still_for_three_leases_does_no_harm(
    tasks: Tasks, start: Start, redis_url: str, connections: RedisConnections, key_prefix: str
) -> None:
    """Its loop is blocked by its own task. Meanwhile another does the work; when it wakes up, it is told."""
    lease = timedelta(seconds=0.6)
    blocked, told = threading.Event(), list[str]()

    async def stalled() -> None:
        ours = RedisConnections(patient_settings(redis_url))
        there = Tasks(ours, "stall", keys=KeySpace(key_prefix), lease=lease)

        @there.task(keep_result=True)
        async def work() -> str:
            if not blocked.is_set():
                blocked.set()
                time.sleep(3 * lease.total_seconds())  # noqa: ASYNC251  this is the fault
                try:
                    await asyncio.sleep(5)  # the lease is found lost in the meantime
                except asyncio.CancelledError:
                    told.append("cancelled")
                    raise
                await ours.execute("RPUSH", f"{key_prefix}:effects", "stalled")
            return "stalled"

        worker = Worker(there, grace=timedelta(0))
        running = asyncio.create_task(worker.run())
        await asyncio.to_thread(over.wait, 60)
        worker.stop()
        await running
        await there.aclose()
        await ours.aclose()

    over = threading.Event()
    here = Tasks(connections, "stall", keys=KeySpace(key_prefix), lease=lease)

    @here.task(keep_result=True)
    async def work() -> str:
        await connections.execute("RPUSH", f"{key_prefix}:effects", "heir")
        return "heir"

    thread = threading.Thread(target=lambda: asyncio.run(stalled()))
    thread.start()
    try:
        call = await work.delay()
        await asyncio.to_thread(blocked.wait, 30)
        start(of=here)
        assert await call.result(timeout=timedelta(seconds=20)) == "heir"
        await eventually(lambda: told == ["cancelled"], within=40)
    finally:
        over.set()
        await asyncio.to_thread(thread.join, 30)
        await here.aclose()

    assert await connections.execute("LRANGE", f"{key_prefix}:effects", 0, -1) == [b"heir"]
    assert await here.handle(call.id).result(timeout=timedelta(seconds=5)) == "heir"
    assert await at_rest(here)


@pytest.mark.proves("Q2")
@pytest.mark.parametrize("how", ["return", "raise"])
async def test_who_does_not_listen_when_the_lease_is_lost_is_refused_by_the_queue(
    tasks: Tasks, start: Start, connections: RedisConnections, how: str
) -> None:
    began, go_on = asyncio.Event(), asyncio.Event()

    @tasks.task(keep_result=True, retry=Retry(backoff=Backoff(0, 0)))
    async def work() -> str:
        began.set()
        await go_on.wait()
        if how == "raise":
            raise ValueError("ours")
        return "ours"

    start(concurrency=1)
    call = await work.delay()
    await began.wait()
    await connections.execute("ZADD", tasks.queue._keys[2], 1, call.id)  # its lease runs out
    (theirs,) = await tasks.queue.claim_many("heir", 1)
    go_on.set()  # before the worker looks at its leases

    await eventually(lambda: tasks.meter.counts["lease_lost"] == 1)
    assert await tasks.queue.result(call.id) is None
    found = await tasks.queue.find(call.id)
    assert found is not None
    assert (found.owner, found.failures) == ("heir", 0)
    await tasks.queue.ack(call.id, theirs.token)


@pytest.mark.proves("Q8")
async def test_what_kills_its_workers_is_dead_after_its_recoveries_and_others_are_done(
    tasks: Tasks, spawn: Spawn, connections: RedisConnections, key_prefix: str
) -> None:
    @tasks.task(keep_result=True)
    async def poison() -> None: ...

    @tasks.task()
    async def count(number: int) -> None: ...

    call = await poison.delay()
    worker = spawn()
    await asyncio.to_thread(worker.wait, 30)
    await count.delay(1)

    async def over() -> bool:
        nonlocal worker
        if worker.poll() is not None:
            worker = spawn()  # as a supervisor would
        return await at_rest(tasks)

    await eventually(over, within=60, every=0.1)
    (dead,) = await tasks.queue.peek(state="dead")
    assert (dead.entry_id, dead.reason, dead.recoveries) == (call.id, "lease ran out too often", 2)
    assert await connections.execute("LLEN", f"{key_prefix}:victims") == 2  # jobs.py: max_recoveries=1
    assert await connections.execute("HLEN", f"{key_prefix}:counted") == 1
    with pytest.raises(TaskDead, match="lease ran out too often"):
        await call.result(timeout=timedelta(seconds=10))


@pytest.mark.proves("Q9")
async def test_a_thousand_that_fail_together_come_back_spread_over_the_backoff(
    tasks: Tasks, start: Start
) -> None:
    window, failed_at = 36_000.0, dict[int, float]()

    @tasks.task(retry=Retry(max_attempts=2, backoff=Backoff(window, window)))
    async def work(number: int) -> None:
        failed_at[number] = datetime.now(UTC).timestamp()
        raise ConnectionError("all at once")

    await work.delay_many([[number] for number in range(1000)])
    start(concurrency=250)

    async def all_failed() -> bool:
        return await tasks.queue.count("delayed", only="failed") == 1000

    await eventually(all_failed, within=180)
    tenths = [0] * 10
    for entry in (await tasks.queue.page("delayed", most=1000)).entries:
        (number,) = Message.decode(entry.payload).args
        pause = entry.due_at.timestamp() - failed_at[number]
        tenths[min(9, max(0, int(pause / window * 10)))] += 1
    # A thousand dice with ten sides: each side 100 times, give or take 10.
    assert min(tenths) > 50, tenths
    assert max(tenths) < 150, tenths
