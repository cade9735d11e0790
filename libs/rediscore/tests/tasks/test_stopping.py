"""The end of a worker: what ends with it counts, and nothing holds it up."""

import asyncio
import contextlib
from datetime import timedelta

import pytest
from rediscore.tasks import Tasks, Worker

pytestmark = pytest.mark.proves("R17", "Q12")


async def test_what_ends_at_the_very_end_is_acknowledged(tasks: Tasks) -> None:
    """The worker leaves while the acknowledgement is under way."""
    began, end = asyncio.Event(), asyncio.Event()

    @tasks.task()
    async def work() -> None:
        began.set()
        await end.wait()

    for _ in range(5):
        worker = Worker(tasks)
        running = asyncio.create_task(worker.run())
        await work.delay()
        await began.wait()
        worker.stop()
        await asyncio.sleep(0.05)  # it waits for the one that runs
        end.set()
        await running

        stats = await tasks.queue.stats()
        assert (stats.ready, stats.leased) == (0, 0)
        began.clear()
        end.clear()


async def test_who_does_not_listen_does_not_hold_up_the_end(tasks: Tasks) -> None:
    began, let_go = asyncio.Event(), asyncio.Event()

    @tasks.task()
    async def deaf() -> None:
        began.set()
        while not let_go.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await let_go.wait()

    worker = Worker(tasks, grace=timedelta(seconds=0.1))
    running = asyncio.create_task(worker.run())
    await deaf.delay()
    await began.wait()
    worker.stop()
    await asyncio.wait_for(running, 30)

    stats = await tasks.queue.stats()
    assert (stats.ready, stats.leased) == (1, 0)
    let_go.set()
    await asyncio.sleep(0.1)
    assert (await tasks.queue.stats()).ready == 1  # its end does not count
