"""Workers come and go: nothing is lost with them, and nothing of a lost one counts."""

import asyncio
import os
import signal
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from subprocess import Popen, run

import pytest
from rediscore.client import RedisConnections
from rediscore.keys import KeySpace
from rediscore.queue import Done
from rediscore.tasks import Retry, Tasks, Worker
from rediscore.testing import ServerUnderTest, eventually, patient_settings

pytestmark = pytest.mark.proves("R17")

Start = Callable[..., Worker]
Spawn = Callable[[], Popen[bytes]]

HERE = Path(__file__).parent


async def effects(connections: RedisConnections, prefix: str, kind: str) -> list[str]:
    found = await connections.execute("LRANGE", f"{prefix}:{kind}", 0, -1)
    return [entry.decode() for entry in found]


async def test_killed_in_the_middle_it_runs_again_within_a_lease(
    spawn: Spawn, connections: RedisConnections, key_prefix: str, tasks: Tasks
) -> None:
    @tasks.task()
    async def slow(number: int) -> None: ...

    first = spawn()
    call = await slow.delay(7)

    async def began() -> bool:
        return await effects(connections, key_prefix, "began") == ["7"]

    await eventually(began, within=40)
    spawn()
    first.send_signal(signal.SIGKILL)
    first.wait()
    killed = time.monotonic()

    async def done() -> bool:
        return await effects(connections, key_prefix, "done") == ["7"]

    await eventually(done, within=40)
    assert await effects(connections, key_prefix, "began") == ["7", "7"]
    # The lease of these workers is 3 s, and the work takes a moment; no other library is below a minute.
    assert time.monotonic() - killed < 15

    async def at_rest() -> bool:  # it says that it is done before it is acknowledged
        return (await tasks.queue.stats()).leased == 0

    await eventually(at_rest)
    assert not await call.cancel()


@pytest.mark.proves("Q12")
async def test_asked_to_stop_it_ends_what_it_has_begun(
    spawn: Spawn, connections: RedisConnections, key_prefix: str, tasks: Tasks
) -> None:
    @tasks.task()
    async def slow(number: int) -> None: ...

    process = spawn()
    await slow.delay(1)

    async def began() -> bool:
        return await effects(connections, key_prefix, "began") == ["1"]

    await eventually(began, within=40)
    process.send_signal(signal.SIGTERM)

    assert await asyncio.to_thread(process.wait, 20) == 0
    assert await effects(connections, key_prefix, "done") == ["1"]
    assert (await tasks.queue.stats()).leased == 0


@pytest.mark.parametrize(
    ("reference", "sentence"),
    [
        ("jobs", "'jobs' is not module:name"),
        ("nowhere:tasks", "No module 'nowhere'"),
        ("jobs:nothing", "jobs has no nothing."),
        ("jobs:Path", "is no Tasks but a"),
        ("jobs:make_tasks --concurrency=0", "needs concurrency >= 1"),
    ],
)
def test_a_wrong_reference_is_a_sentence(reference: str, sentence: str) -> None:
    said = run(
        [sys.executable, "-m", "rediscore.tasks", "worker", *reference.split()],
        cwd=HERE,
        env={**os.environ, "JOBS_REDIS_URL": "redis://127.0.0.1:1", "JOBS_PREFIX": "x"},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert said.returncode == 2
    assert sentence in said.stderr
    assert "Traceback" not in said.stderr


@pytest.mark.proves("Q12")
async def test_what_does_not_end_in_time_goes_back_at_once(tasks: Tasks) -> None:
    began = asyncio.Event()

    @tasks.task()
    async def endless() -> None:
        began.set()
        await asyncio.sleep(60)

    worker = Worker(tasks, grace=timedelta(seconds=0.1))
    running = asyncio.create_task(worker.run())
    await endless.delay()
    await began.wait()
    worker.stop()
    await running

    stats = await tasks.queue.stats()
    assert (stats.ready, stats.leased) == (1, 0)


@pytest.mark.proves("Q12")
async def test_what_was_fetched_ahead_is_there_for_others_as_soon_as_it_stops(tasks: Tasks) -> None:
    began, end, order = asyncio.Event(), asyncio.Event(), list[int]()

    @tasks.task()
    async def work(number: int) -> None:
        began.set()
        await end.wait()
        order.append(number)

    worker = Worker(tasks, concurrency=1, prefetch=3, grace=timedelta(seconds=20))
    running = asyncio.create_task(worker.run())
    await work.delay_many([[number] for number in range(6)])
    await began.wait()

    async def taken() -> int:
        return (await tasks.queue.stats()).leased

    await eventually(lambda: _is(taken, 4))
    worker.stop()
    await eventually(lambda: _is(taken, 1))  # the one that runs, which has 20 s
    end.set()
    await running
    assert order == [0]
    assert (await tasks.queue.stats()).ready == 5


async def _is(what: Callable[[], Awaitable[int]], wanted: int) -> bool:
    return await what() == wanted


async def test_fetching_ahead_changes_nothing_but_speed(tasks: Tasks, start: Start) -> None:
    order: list[int] = []

    @tasks.task()
    async def work(number: int) -> None:
        order.append(number)

    await work.delay_many([[number] for number in range(300)])
    start(concurrency=7, prefetch=50)

    await eventually(lambda: order == list(range(300)))

    async def at_rest() -> bool:
        stats = await tasks.queue.stats()
        return (stats.ready, stats.leased, stats.dead) == (0, 0, 0)

    await eventually(at_rest)


async def test_plain_functions_share_the_threads_of_the_worker(tasks: Tasks, start: Start) -> None:
    lock, at_once, most = threading.Lock(), 0, 0

    @tasks.task(keep_result=True)
    def work() -> None:
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        time.sleep(0.05)
        with lock:
            at_once -= 1

    start(concurrency=10, threads=2)
    calls = await work.delay_many([[]] * 8)
    for call in calls:
        await call.result(timeout=timedelta(seconds=20))
    assert most == 2


async def test_each_attempt_has_its_own_time(tasks: Tasks, start: Start) -> None:
    """One timer for all: what came later and has less time ends first, and nobody else with it."""
    ended: list[str] = []

    async def wait(name: str) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(name)

    for name, seconds in (("long", 1.2), ("short", 0.2), ("middle", 0.6)):
        tasks.task(name=name, timeout=timedelta(seconds=seconds), retry=Retry(max_attempts=1))(
            partial(wait, name)
        )
    start()
    for name in ("long", "short", "middle"):
        await tasks.registered[name].apply_async()

    await eventually(lambda: tasks.meter.counts["dead"] == 3)
    assert ended == ["short", "middle", "long"]
    for entry in await tasks.queue.peek(state="dead"):
        assert entry.reason.startswith("TimeoutError: It took longer than")


async def test_a_run_is_cancelled_long_before_its_lease_would_be_renewed(tasks: Tasks, start: Start) -> None:
    patient = Tasks(tasks.connections, "patient", keys=tasks.keys, lease=timedelta(minutes=5))
    began, ended = asyncio.Event(), asyncio.Event()

    @patient.task()
    async def work() -> None:
        began.set()
        try:
            await asyncio.sleep(600)
        finally:
            ended.set()

    start(of=patient)
    call = await work.delay()
    await began.wait()
    assert await call.cancel()
    await asyncio.wait_for(ended.wait(), 20)
    await patient.aclose()


async def test_a_cancelled_worker_gives_back_what_it_has(tasks: Tasks) -> None:
    began = asyncio.Event()

    @tasks.task()
    async def endless() -> None:
        began.set()
        await asyncio.sleep(60)

    running = asyncio.create_task(Worker(tasks).run())
    await endless.delay()
    await began.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    stats = await tasks.queue.stats()
    assert (stats.ready, stats.leased) == (1, 0)


@pytest.mark.proves("Q2")
async def test_slow_work_keeps_its_lease(tasks: Tasks, start: Start) -> None:
    runs = 0

    @tasks.task(keep_result=True)
    async def slower_than_the_lease() -> int:
        nonlocal runs
        runs += 1
        await asyncio.sleep(4)
        return runs

    start()
    start()

    call = await slower_than_the_lease.delay()
    assert await call.result(timeout=timedelta(seconds=20)) == 1
    assert runs == 1


@pytest.mark.proves("Q2")
async def test_whose_lease_is_lost_is_cancelled_and_its_result_refused(
    tasks: Tasks, start: Start, connections: RedisConnections
) -> None:
    """As if this process had stood still: the lease runs out, somebody else does the work."""
    began, cancelled = asyncio.Event(), asyncio.Event()

    @tasks.task(keep_result=True)
    async def work() -> str:
        began.set()
        try:
            await asyncio.sleep(60)
        finally:
            cancelled.set()
        return "ours"

    start()
    call = await work.delay()
    await began.wait()
    (held,) = await tasks.queue.peek(state="leased")
    leased = tasks.queue._keys[2]  # a test may look behind the curtain
    await connections.execute("ZADD", leased, 1, call.id)
    (theirs,) = await tasks.queue.claim_many("heir", 1)
    assert held.entry_id == theirs.entry_id

    await asyncio.wait_for(cancelled.wait(), 10)
    assert await tasks.queue.ack_many([Done(theirs, b'{"value": "theirs"}')]) == [True]
    assert await call.result(timeout=timedelta(seconds=5)) == "theirs"


async def test_a_worker_lives_through_an_outage(
    redis_url: str, key_prefix: str, tasks: Tasks, start: Start, connections: RedisConnections
) -> None:
    done: list[int] = []

    @tasks.task()
    async def work(number: int) -> None:
        await asyncio.sleep(0.01)
        done.append(number)

    start(concurrency=5)
    for number in range(60):
        await work.delay(number)
        if number % 20 == 10:
            await connections.execute("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    await eventually(lambda: set(done) == set(range(60)), within=40)

    async def at_rest() -> bool:
        stats = await tasks.queue.stats()
        return (stats.ready, stats.leased, stats.dead) == (0, 0, 0)

    await eventually(at_rest, within=40)


async def test_what_has_ended_while_redis_was_away_is_not_run_again(
    disposable_server: ServerUnderTest, key_prefix: str
) -> None:
    connections = RedisConnections(patient_settings(disposable_server.url, retries=0))
    tasks = Tasks(connections, "jobs", keys=KeySpace(key_prefix), lease=timedelta(minutes=1))
    begun, end = asyncio.Event(), asyncio.Event()
    runs: list[str] = []

    @tasks.task(keep_result=True)
    async def work() -> str:
        begun.set()
        await end.wait()
        runs.append("run")
        return "done"

    call = await work.delay()
    worker = Worker(tasks)
    running = asyncio.create_task(worker.run())
    await asyncio.wait_for(begun.wait(), 10)
    disposable_server.stop()
    end.set()
    await eventually(lambda: bool(runs))
    await asyncio.sleep(0.1)  # the acknowledgement is tried, in vain
    disposable_server.start()
    # Long before its lease would run out.
    assert await call.result(timeout=timedelta(seconds=20)) == "done"
    worker.stop()
    await running
    assert (len(runs), (await tasks.queue.stats()).leased) == (1, 0)
    await tasks.aclose()
    await connections.aclose()
