"""What happens to a call: it is run, tried again, given up with its reason, expired or cancelled."""

import asyncio
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import BaseModel
from rediscore.client import RedisConnections
from rediscore.errors import QueueFull
from rediscore.metrics import Metrics
from rediscore.queue import NewEntry
from rediscore.retry import Backoff
from rediscore.tasks import (
    ResultTimeout,
    Retry,
    TaskCancelled,
    TaskDead,
    TaskExpired,
    Tasks,
    Worker,
    current_call,
)
from rediscore.testing import FaultProxy, eventually, load_scripts

pytestmark = pytest.mark.proves("R17")

Start = Callable[..., Worker]

SOON = timedelta(seconds=20)
AT_ONCE = Backoff(0.01, 0.02)


class Receipt(BaseModel):
    number: int
    at: datetime


async def test_called_elsewhere_with_typed_arguments_and_result(tasks: Tasks, start: Start) -> None:
    @tasks.task(keep_result=True)
    async def issue(receipt: Receipt, *, copies: int = 1) -> Receipt:
        assert isinstance(receipt, Receipt)
        return receipt.model_copy(update={"number": receipt.number + copies})

    receipt = Receipt(number=1, at=datetime(2026, 1, 1, tzinfo=UTC))
    call = await issue.delay(receipt, copies=2)
    start()

    assert await call.result(timeout=SOON) == receipt.model_copy(update={"number": 3})
    assert await tasks.handle(call.id).result(timeout=SOON) == {"number": 3, "at": "2026-01-01T00:00:00Z"}


async def test_a_plain_function_runs_in_a_thread(tasks: Tasks, start: Start) -> None:
    @tasks.task(keep_result=True)
    def where() -> bool:
        return threading.current_thread() is threading.main_thread()

    start()

    assert await (await where.delay()).result(timeout=SOON) is False


async def test_what_cannot_be_called_is_refused_at_once(tasks: Tasks) -> None:
    @tasks.task()
    async def greet(name: str) -> None: ...

    with pytest.raises(TypeError, match="missing a required argument"):
        await greet.apply_async()
    with pytest.raises(TypeError, match="does not fit into JSON"):
        await greet.delay(object())  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="eta must be an aware time"):
        await greet.apply_async(["x"], eta=datetime(2026, 1, 1))  # noqa: DTZ001
    with pytest.raises(ValueError, match="not both"):
        await greet.apply_async(["x"], eta=datetime.now(UTC), countdown=SOON)
    with pytest.raises(ValueError, match="There is a task 'greet' already"):
        tasks.task(name="greet")(greet.function)
    with pytest.raises(ValueError, match="No class 'vip'"):
        tasks.task(priority="vip")
    assert (await tasks.queue.stats()).ready == 0


async def test_tried_again_and_given_up_with_its_reason(tasks: Tasks, start: Start) -> None:
    attempts: list[str] = []

    @tasks.task(retry=Retry(max_attempts=3, backoff=AT_ONCE, on=(ConnectionError,)), keep_result=True)
    async def call(what: str) -> str:
        attempts.append(what)
        if what == "typo":
            raise ValueError("no such street")
        if what == "never" or len(attempts) < 2:
            raise ConnectionError("nobody home")
        return "delivered"

    start(concurrency=1)

    assert await (await call.delay("second time")).result(timeout=SOON) == "delivered"
    with pytest.raises(TaskDead, match="ConnectionError: nobody home"):
        await (await call.delay("never")).result(timeout=SOON)
    with pytest.raises(TaskDead, match="ValueError: no such street"):
        await (await call.delay("typo")).result(timeout=SOON)
    assert attempts == ["second time"] * 2 + ["never"] * 3 + ["typo"]
    never, typo = await tasks.queue.peek(state="dead")
    assert (never.failures, typo.failures) == (3, 1)
    assert 'raise ValueError("no such street")' in typo.reason


async def test_redriven_from_the_dead(tasks: Tasks, start: Start) -> None:
    broken = True

    @tasks.task(retry=Retry(max_attempts=1), keep_result=True)
    async def send() -> str:
        if broken:
            raise RuntimeError("down")
        return "sent"

    start()
    call = await send.delay()
    with pytest.raises(TaskDead):
        await call.result(timeout=SOON)
    broken = False

    assert await tasks.queue.redrive([call.id]) == [call.id]

    async def sent() -> bool:
        try:
            return bool(await call.result(timeout=SOON) == "sent")
        except TaskDead:  # the old one is there until the new one is
            return False

    await eventually(sent)


async def test_what_nobody_knows_and_what_nobody_can_read_is_dead_not_gone(
    tasks: Tasks, start: Start
) -> None:
    await tasks.queue.add_many([NewEntry("alien", b'["fly", [], {}, null]'), NewEntry("torn", b'{"a')])
    start()

    async def both_dead() -> bool:
        return (await tasks.queue.stats()).dead == 2

    await eventually(both_dead)
    reasons = {entry.entry_id: entry.reason for entry in await tasks.queue.peek(state="dead")}
    assert reasons["alien"] == "No task 'fly' is known to this worker."
    assert reasons["torn"].startswith("Unreadable: ")


async def test_an_attempt_that_takes_too_long_is_a_failure(tasks: Tasks, start: Start) -> None:
    cancelled = asyncio.Event()

    @tasks.task(retry=Retry(max_attempts=1), timeout=timedelta(seconds=0.1), keep_result=True)
    async def hang() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            cancelled.set()

    start()

    with pytest.raises(TaskDead, match="TimeoutError"):
        await (await hang.delay()).result(timeout=SOON)
    assert cancelled.is_set()


async def test_later_and_not_too_late(tasks: Tasks, start: Start) -> None:
    began: list[datetime] = []

    @tasks.task(keep_result=True)
    async def ring() -> None:
        began.append(datetime.now(UTC))

    due = datetime.now(UTC) + timedelta(seconds=0.4)
    late = await ring.apply_async(countdown=timedelta(seconds=0.5), expires=timedelta(seconds=0.2))
    call = await ring.apply_async(eta=due)
    start()
    await call.result(timeout=SOON)

    assert began[0] >= due - timedelta(milliseconds=5)  # the clocks count in milliseconds
    with pytest.raises(TaskExpired):
        await late.result(timeout=SOON)
    assert len(began) == 1


async def test_one_id_one_call(tasks: Tasks, start: Start) -> None:
    runs = 0

    @tasks.task(keep_result=True)
    async def once() -> int:
        nonlocal runs
        runs += 1
        return runs

    calls = [await once.apply_async(task_id="order-7:receipt") for _ in range(3)]
    start()

    assert [await call.result(timeout=SOON) for call in calls] == [1, 1, 1]
    again = await once.apply_async(task_id="order-7:receipt")
    assert await again.result(timeout=SOON) == 1


async def test_better_classes_first(tasks: Tasks, start: Start) -> None:
    order: list[str] = []

    @tasks.task()
    async def note(name: str) -> None:
        order.append(name)

    await note.apply_async(["low"], priority="low")
    await note.delay("standard")
    await note.apply_async(["high"], priority="high")
    start(concurrency=1)

    await eventually(lambda: order == ["high", "standard", "low"])


async def test_cancelled_before_and_while_it_runs(tasks: Tasks, start: Start) -> None:
    began, ended = asyncio.Event(), asyncio.Event()

    @tasks.task()
    async def work() -> None:
        began.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            ended.set()
            raise

    waiting = await work.apply_async(countdown=timedelta(hours=1))
    assert await waiting.cancel()
    assert not await waiting.cancel()
    running = await work.delay()
    start()
    await began.wait()

    assert await running.cancel()

    await asyncio.wait_for(ended.wait(), 10)
    assert (await tasks.queue.stats()).leased == 0


async def test_without_a_result_the_wait_has_an_end(tasks: Tasks) -> None:
    @tasks.task()
    async def silent() -> None: ...

    with pytest.raises(ResultTimeout, match=r"within 0\.1 s"):
        await (await silent.delay()).result(timeout=timedelta(seconds=0.1))


async def test_a_full_queue_says_so(tasks: Tasks) -> None:
    small = Tasks(tasks.connections, "small", keys=tasks.keys, capacity=1)

    @small.task()
    async def work() -> None: ...

    await work.delay()
    with pytest.raises(QueueFull):
        await work.delay()


async def test_every_so_often_once_for_all_workers(tasks: Tasks, start: Start) -> None:
    runs: list[datetime] = []

    @tasks.task(every=timedelta(seconds=1))
    async def tick() -> None:
        runs.append(datetime.now(UTC))

    start()
    start()

    await eventually(lambda: len(runs) >= 3, within=10)
    seconds = [int(at.timestamp()) for at in runs]
    assert len(set(seconds)) >= len(seconds) - 1  # a busy machine may begin one late
    assert len(runs) <= seconds[-1] - seconds[0] + 2


@pytest.mark.proves("Q10")
async def test_unique_for_a_time_whatever_became_of_the_first(tasks: Tasks, start: Start) -> None:
    runs: list[str] = []

    @tasks.task(keep_result=True, unique_for=timedelta(seconds=1.5), unique_by=lambda user, _why: user)
    async def greet(user: str, why: str) -> int:
        runs.append(why)
        return len(runs)

    first, second = await greet.delay("ada", "first"), await greet.delay("ada", "second")
    other = await greet.delay("bob", "other")
    assert first.id == second.id != other.id
    start()
    assert await second.result(timeout=SOON) == 1
    assert (await greet.delay("ada", "done by now")).id == first.id

    async def again() -> bool:
        return (await greet.delay("ada", "later")).id != first.id

    await eventually(again)
    await eventually(lambda: sorted(runs) == ["first", "later", "other"])


@pytest.mark.proves("Q10")
async def test_unique_by_all_arguments_unless_said_otherwise(tasks: Tasks) -> None:
    @tasks.task(unique_for=SOON)
    async def greet(user: str, *, how: str = "") -> None: ...

    calls = await greet.delay_many([["ada"], ["ada"], ["bob"]])
    calls += [await greet.delay("ada", how="loud"), await greet.delay("ada", how="loud")]

    assert [call.id == calls[0].id for call in calls] == [True, True, False, False, False]
    assert (calls[3].id == calls[4].id, (await tasks.queue.stats()).ready) == (True, 3)
    with pytest.raises(ValueError, match="unique_by= needs unique_for="):
        tasks.task(unique_by=str)


@pytest.mark.proves("Q10")
async def test_unique_also_when_the_reply_is_lost_and_the_call_made_again(
    tasks: Tasks, through_proxy: RedisConnections, fault_proxy: FaultProxy
) -> None:
    away = Tasks(through_proxy, "jobs", keys=tasks.keys)

    @away.task(unique_for=SOON)
    async def greet(user: str) -> None: ...

    await load_scripts(through_proxy, "rediscore.queue")
    fault_proxy.swallow_reply(after=b"EVALSHA")
    call = await greet.delay("ada")  # sent again by itself
    again = await greet.delay("ada")  # and by the caller

    assert fault_proxy.swallowed == 1
    assert (again.id, (await tasks.queue.stats()).ready) == (call.id, 1)


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
    told = metrics.summary()
    of_task = told["task/counted.work"]
    assert (of_task["succeeded"], of_task["failed"], of_task["dead"]) == (1, 1, 1)
    assert of_task["run_seconds"]["count"] == 3
    assert told["tasks/counted"]["running"] == 0
    assert not any("fly" in name for name in told)  # labels are names of declared tasks
