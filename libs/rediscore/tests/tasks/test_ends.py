"""How calls end, and what they leave behind: results, errors of their own, counts."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

import pytest
from rediscore.metrics import Metrics
from rediscore.retry import Backoff
from rediscore.tasks import Retry, TaskCancelled, TaskDead, TaskExpired, Tasks, Worker, current_call
from rediscore.testing import eventually

pytestmark = pytest.mark.proves("R17")

Start = Callable[..., Worker]

SOON = timedelta(seconds=20)
AT_ONCE = Backoff(0.01, 0.02)


async def test_each_end_without_a_result_has_its_own_error(tasks: Tasks, start: Start) -> None:
    began = asyncio.Event()

    @tasks.task(keep_result=True)
    async def work() -> None:
        began.set()
        await asyncio.sleep(60)

    waiting = await work.apply_async(countdown=timedelta(hours=1))
    assert await waiting.cancel()
    with pytest.raises(TaskCancelled):
        await waiting.result(timeout=SOON)
    late = await work.apply_async(expires=timedelta(0))
    start()
    with pytest.raises(TaskExpired):
        await late.result(timeout=SOON)
    running = await work.delay()
    await began.wait()
    waiter = asyncio.create_task(running.result(timeout=SOON))
    await asyncio.sleep(0.1)
    await running.cancel()
    with pytest.raises(TaskCancelled):
        await waiter


async def test_what_a_dead_one_says_does_not_count_in_its_next_life(tasks: Tasks, start: Start) -> None:
    @tasks.task(retry=Retry(max_attempts=1), keep_result=True)
    async def work() -> str:
        if not mended.is_set():
            raise RuntimeError("broken")
        return "mended"

    mended = asyncio.Event()
    worker = start()
    call = await work.delay()
    with pytest.raises(TaskDead):
        await call.result(timeout=SOON)
    worker.stop()
    mended.set()
    await tasks.queue.redrive([call.id])
    waiter = asyncio.create_task(call.result(timeout=SOON))
    await asyncio.sleep(0.1)
    assert not waiter.done()
    start()
    assert await waiter == "mended"


async def test_ids_made_in_the_same_millisecond_differ(tasks: Tasks) -> None:
    @tasks.task()
    async def work() -> None: ...

    calls = await work.delay_many([[]] * 2000)

    assert len({call.id for call in calls}) == 2000
    assert (await tasks.queue.stats()).ready == 2000


async def test_a_task_knows_its_call(tasks: Tasks, start: Start) -> None:
    seen: list[tuple[str, int, str]] = []
    tokens: list[int] = []

    @tasks.task(retry=Retry(max_attempts=2, backoff=AT_ONCE), keep_result=True)
    async def work() -> None:
        call = current_call()
        tokens.append(call.token)
        seen.append((call.id, call.attempt, call.task))
        if call.attempt == 1:
            raise ConnectionError

    @tasks.task(keep_result=True)
    def in_thread() -> str:
        return current_call().id

    start()
    await (await work.apply_async(task_id="order-7")).result(timeout=SOON)

    assert seen == [("order-7", 1, "work"), ("order-7", 2, "work")]
    assert tokens[0] < tokens[1]
    assert await (await in_thread.apply_async(task_id="order-8")).result(timeout=SOON) == "order-8"
    with pytest.raises(LookupError):
        current_call()


async def test_a_task_that_ends_its_process_or_cancels_itself_has_failed(tasks: Tasks, start: Start) -> None:
    @tasks.task(retry=Retry(max_attempts=1), keep_result=True)
    async def leave(how: str) -> None:
        if how == "exit":
            raise SystemExit(3)
        raise asyncio.CancelledError

    start()
    for how, error in (("exit", "SystemExit"), ("cancel", "CancelledError")):
        with pytest.raises(TaskDead, match=error):
            await (await leave.delay(how)).result(timeout=SOON)


async def test_wrong_arguments_are_told_without_being_quoted(tasks: Tasks, start: Start) -> None:
    @tasks.task(retry=Retry(max_attempts=1), keep_result=True)
    async def work(number: int) -> None: ...

    start()
    with pytest.raises(TaskDead, match="ValidationError"):
        await (await work.delay("mario@example.org")).result(timeout=SOON)  # type: ignore[arg-type]
    (dead,) = await tasks.queue.peek(state="dead")
    assert "valid integer" in dead.reason
    assert "mario" not in dead.reason


async def test_counted_by_task_and_outcome(tasks: Tasks, start: Start) -> None:
    metrics = Metrics()
    counted = Tasks(tasks.connections, "counted", keys=tasks.keys, metrics=metrics)

    @counted.task(retry=Retry(max_attempts=2, backoff=AT_ONCE), keep_result=True)
    async def work(how: str) -> None:
        if how == "bad":
            raise ValueError

    start(of=counted)
    await (await work.delay("good")).result(timeout=SOON)
    with pytest.raises(TaskDead):
        await (await work.delay("bad")).result(timeout=SOON)
    await counted.queue.add("alien", b'["fly", [], {}, null]')
    await eventually(lambda: metrics.meter("tasks", "counted").counts["dead"] == 2)
    await eventually(lambda: metrics.summary()["tasks/counted"]["running"] == 0)
    told = metrics.summary()
    of_task = told["task/counted.work"]
    assert (of_task["succeeded"], of_task["failed"], of_task["dead"]) == (1, 1, 1)
    assert of_task["run_seconds"]["count"] == 3
    assert not any("fly" in name for name in told)  # labels are names of declared tasks
