"""Processes killed with -9: nothing is counted twice, nothing is missed."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from random import Random

import httpx
import pytest
from rediscore.embedded import free_port
from rediscore.testing import eventually

from services.analytics.tests.harness import Books, House, ids
from services.analytics.tests.killed_steps import MOMENTS

KILLED_STEPS = Path(__file__).with_name("killed_steps.py")


@pytest.mark.proves("I6", "P13")
def test_killed_between_any_two_steps_everything_is_counted_once(own_redis: str, tmp_path: Path) -> None:
    """Archive commit, fold, checkpoint, begin of a rebuild, comparison, swap, end, clearing away."""
    done = subprocess.run(
        [sys.executable, KILLED_STEPS, tmp_path],
        env=os.environ | {"REDIS_URL": own_redis, "PYTHONPATH": str(Path(__file__).parents[3])},
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    outcomes = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert [outcome.pop("moment") for outcome in outcomes] == list(MOMENTS)
    for moment, outcome in zip(MOMENTS, outcomes, strict=True):
        assert outcome.pop("numbers") > 100
        assert outcome == {"archived": True, "right": True, "open": False, "retired": 0}, moment


@contextmanager
def service(house: House, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Analytics as a process of its own."""
    process = subprocess.Popen(
        [sys.executable, "-m", "analytics_service"],
        env=os.environ | house.environment(PORT=str(port)),
        stdout=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


async def ready(port: int) -> None:
    async def is_so() -> bool:
        try:
            return (await client.get("/health/ready")).status_code == 200
        except httpx.TransportError:
            return False

    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
        await eventually(is_so, within=60, every=0.05, what="analytics is ready")


@pytest.mark.proves("I6", "I9")
async def test_a_service_killed_at_random_archives_and_counts_everything_once(
    house: House, books: Books
) -> None:
    random = Random(3)
    port = free_port()
    async with house.guests(random, every=0.1):
        for _ in range(2):
            with service(house, port) as process:
                await ready(port)
                before = await books.checkpoint()
                await eventually(partial(_past, books, before), within=40, what="it counts")
                await asyncio.sleep(random.uniform(0, 0.3))  # any moment
                process.send_signal(signal.SIGKILL)
                assert process.wait() == -signal.SIGKILL
    told = await house.order.told()

    with service(house, port) as process:
        await ready(port)  # else it may not yet know how to stop in good order
        await eventually(
            lambda: books.all_counted(len(told)),
            within=80,
            every=0.1,
            what=f"{len(told)} events are counted",
        )
        assert sorted(ids(await books.events())) == sorted(ids(told))
        assert await books.found() == await books.expected()
        process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.wait, 20) == 0


async def _past(books: Books, checkpoint: int) -> bool:
    return await books.checkpoint() > checkpoint
