"""Tasks on keys of their own, and workers that end with the test."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

import pytest
from rediscore.client import RedisConnections
from rediscore.keys import KeySpace
from rediscore.tasks import Tasks, Worker

Start = Callable[..., Worker]
Spawn = Callable[[], Popen[bytes]]

HERE = Path(__file__).parent


@pytest.fixture
async def tasks(connections: RedisConnections, key_prefix: str) -> AsyncIterator[Tasks]:
    made = Tasks(connections, "jobs", keys=KeySpace(key_prefix), lease=timedelta(seconds=3))
    yield made
    await made.aclose()


@pytest.fixture
async def start(tasks: Tasks) -> AsyncIterator[Start]:
    """Start a worker."""
    running: list[tuple[Worker, asyncio.Task[None]]] = []

    def make(of: Tasks | None = None, **options: Any) -> Worker:
        worker = Worker(of or tasks, **({"grace": timedelta(seconds=1)} | options))
        running.append((worker, asyncio.create_task(worker.run())))
        return worker

    yield make
    for worker, _ in running:
        worker.stop()
    for _, run in running:
        await run


@pytest.fixture
def spawn(redis_url: str, key_prefix: str) -> Iterator[Spawn]:
    """A worker of jobs.py as its own process, by the command that users run."""
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
