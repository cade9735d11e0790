"""Periodic work: repeats, wakes when nudged, survives failures, ends cleanly."""

import asyncio

import pytest
from pizzeria_chassis.loops import PeriodicTask
from rediscore.retry import Backoff
from rediscore.testing import eventually

NEVER = 3600.0
NO_BACKOFF = Backoff(0.001, 0.001)


class Work:
    """Counts its runs; fails or asks for more as it is told."""

    def __init__(self) -> None:
        self.runs = 0
        self.failing = False
        self.more = 0
        self.running = 0
        self.blocked: asyncio.Event | None = None

    async def __call__(self) -> bool:
        self.runs += 1
        self.running += 1
        assert self.running == 1, "one run at a time"
        try:
            if self.blocked is not None:
                await self.blocked.wait()
            if self.failing:
                raise RuntimeError("no")
            self.more -= 1
            return self.more >= 0
        finally:
            self.running -= 1


async def test_it_runs_at_start_and_then_only_when_nudged() -> None:
    work = Work()
    task = PeriodicTask("t", NEVER, work)
    await task.start()
    await eventually(lambda: work.runs == 1)
    task.nudge()
    await eventually(lambda: work.runs == 2)
    await task.stop()
    assert work.runs == 2


async def test_a_nudge_during_a_run_is_not_lost() -> None:
    work = Work()
    work.blocked = asyncio.Event()
    task = PeriodicTask("t", NEVER, work)
    await task.start()
    await eventually(lambda: work.running)
    task.nudge()
    task.nudge()
    work.blocked.set()
    await eventually(lambda: work.runs == 2)
    await task.stop()


async def test_more_to_do_runs_again_without_a_pause() -> None:
    work = Work()
    work.more = 5
    task = PeriodicTask("t", NEVER, work)
    await task.start()
    await eventually(lambda: work.runs == 6)
    await task.stop()


async def test_it_repeats() -> None:
    work = Work()
    task = PeriodicTask("t", 0.01, work)
    await task.start()
    await eventually(lambda: work.runs > 3)
    await task.stop()


async def test_failures_are_tried_again_and_show_in_the_check() -> None:
    work = Work()
    work.failing = True
    task = PeriodicTask("t", NEVER, work, backoff=NO_BACKOFF)
    await task.start()
    await eventually(lambda: task.checks()["t"].status == "degraded")
    assert "RuntimeError" in task.checks()["t"].reason
    work.failing = False
    await eventually(lambda: task.checks()["t"].status == "ok")
    await task.stop()


async def test_a_nudge_does_not_shorten_the_pause_after_a_failure() -> None:
    work = Work()
    work.failing = True
    task = PeriodicTask("t", NEVER, work, backoff=Backoff(NEVER, NEVER, jitter=False))
    await task.start()
    await eventually(lambda: work.runs == 1)
    for _ in range(100):
        task.nudge()
        await asyncio.sleep(0)
    assert work.runs == 1
    await task.stop()


async def test_stop_lets_the_run_end() -> None:
    work = Work()
    work.blocked = asyncio.Event()
    task = PeriodicTask("t", NEVER, work)
    await task.start()
    await eventually(lambda: work.running)
    stopping = asyncio.create_task(task.stop())
    await asyncio.sleep(0)
    work.blocked.set()
    await stopping
    assert (work.runs, work.running, work.more) == (1, 0, -1)


async def test_stop_cancels_what_takes_longer_than_the_grace_time() -> None:
    work = Work()
    work.blocked = asyncio.Event()
    task = PeriodicTask("t", NEVER, work, grace=0.05)
    await task.start()
    await eventually(lambda: work.running)
    async with asyncio.timeout(10):
        await task.stop()
    assert (work.running, work.more) == (0, 0)


async def test_stop_before_start_and_a_second_start() -> None:
    work = Work()
    task = PeriodicTask("t", NEVER, work)
    await task.stop()
    await task.start()
    await eventually(lambda: work.runs == 1)
    await task.stop()
    await task.start()
    await eventually(lambda: work.runs == 2)
    await task.stop()


@pytest.mark.parametrize("interval", [0.01, 60.0])
def test_any_interval_has_a_backoff(interval: float) -> None:
    PeriodicTask("t", interval, Work())
