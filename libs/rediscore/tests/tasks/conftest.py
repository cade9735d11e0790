"""Tasks on keys of their own, and workers that end with the test."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import pytest
from rediscore.client import RedisConnections
from rediscore.keys import KeySpace
from rediscore.tasks import Tasks, Worker

Start = Callable[..., Worker]


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
