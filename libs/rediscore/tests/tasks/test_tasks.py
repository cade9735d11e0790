"""What happens to a call: it is run, tried again, given up with its reason, expired or cancelled."""

import asyncio
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import BaseModel
from rediscore.errors import QueueFull
from rediscore.queue import NewEntry
from rediscore.retry import Backoff
from rediscore.tasks import (
    ResultTimeout,
    Retry,
    TaskDead,
    TaskExpired,
    Tasks,
    Worker,
)
from rediscore.testing import eventually

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
    # The queue bounds the attempts as well; that the worker knows which was the last is seen in its counts.
    assert (tasks.meter.counts["failed"], tasks.meter.counts["dead"]) == (3, 2)


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

    await eventually(lambda: len(runs) >= 3, within=40)
    seconds = [int(at.timestamp()) for at in runs]
    assert len(set(seconds)) >= len(seconds) - 1  # a busy machine may begin one late
    assert len(runs) <= seconds[-1] - seconds[0] + 2
