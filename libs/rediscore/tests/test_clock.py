"""The fake clock of the test kit."""

import asyncio

import pytest
from rediscore.testing import ManualClock, eventually


@pytest.mark.proves("R22")
async def test_sleepers_wake_in_order_and_only_when_time_moves() -> None:
    clock, woken = ManualClock(), list[float]()

    async def sleeper(seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append(clock.monotonic())

    start = clock.now()
    async with asyncio.TaskGroup() as group:
        for seconds in (3, 1, 2):
            group.create_task(sleeper(seconds))
        await eventually(lambda: clock.sleepers == 3)
        assert woken == []

        await clock.advance(2)
        assert woken == [1, 2]

        await clock.advance(10)
    assert woken == [1, 2, 3]
    assert (clock.now() - start).total_seconds() == 12
