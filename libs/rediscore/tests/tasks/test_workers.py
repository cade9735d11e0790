"""Workers come and go: nothing is lost with them, and nothing of a lost one counts."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from subprocess import PIPE, Popen, run

import pytest
from rediscore.client import RedisConnections
from rediscore.keys import KeySpace
from rediscore.queue import Done
from rediscore.settings import RedisSettings
from rediscore.tasks import Tasks, Worker
from rediscore.testing import ServerUnderTest, eventually

pytestmark = pytest.mark.proves("R17")

Start = Callable[..., Worker]
Spawn = Callable[[], Popen[bytes]]

HERE = Path(__file__).parent


@pytest.fixture
def spawn(redis_url: str, key_prefix: str) -> Iterator[Spawn]:
    """A worker as its own process, by the command that users run."""
    processes: list[Popen[bytes]] = []

    def made() -> Popen[bytes]:
        command = [sys.executable, "-m", "rediscore.tasks", "worker", "jobs:make_tasks", "--grace", "5"]
        environment = {**os.environ, "JOBS_REDIS_URL": redis_url, "JOBS_PREFIX": key_prefix}
        process = Popen(command, cwd=HERE, env=environment, stderr=PIPE)
        processes.append(process)
        return process

    yield made
    for process in processes:
        process.kill()
        process.communicate()


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

    await eventually(began, within=15)
    spawn()
    first.send_signal(signal.SIGKILL)
    first.wait()
    killed = time.monotonic()

    async def done() -> bool:
        return await effects(connections, key_prefix, "done") == ["7"]

    await eventually(done, within=20)
    assert await effects(connections, key_prefix, "began") == ["7", "7"]
    # The lease of these workers is 3 s, and the work takes a moment; no other library is below a minute.
    assert time.monotonic() - killed < 15
    assert not await call.cancel()


async def test_asked_to_stop_it_ends_what_it_has_begun(
    spawn: Spawn, connections: RedisConnections, key_prefix: str, tasks: Tasks
) -> None:
    @tasks.task()
    async def slow(number: int) -> None: ...

    process = spawn()
    await slow.delay(1)

    async def began() -> bool:
        return await effects(connections, key_prefix, "began") == ["1"]

    await eventually(began, within=15)
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
    ],
)
def test_a_wrong_reference_is_a_sentence(reference: str, sentence: str) -> None:
    said = run(
        [sys.executable, "-m", "rediscore.tasks", "worker", reference],
        cwd=HERE,
        env={**os.environ, "JOBS_REDIS_URL": "redis://127.0.0.1:1", "JOBS_PREFIX": "x"},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert said.returncode == 2
    assert sentence in said.stderr
    assert "Traceback" not in said.stderr


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

    await eventually(lambda: set(done) == set(range(60)), within=20)

    async def at_rest() -> bool:
        stats = await tasks.queue.stats()
        return (stats.ready, stats.leased, stats.dead) == (0, 0, 0)

    await eventually(at_rest, within=10)


async def test_what_has_ended_while_redis_was_away_is_not_run_again(
    disposable_server: ServerUnderTest, key_prefix: str
) -> None:
    connections = RedisConnections(RedisSettings.from_url(disposable_server.url, retries=0))
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
