"""Applications with tasks, for workers in processes of their own."""

import asyncio
import os
import signal
from datetime import timedelta
from pathlib import Path

from rediscore.client import RedisConnections
from rediscore.keys import KeySpace
from rediscore.tasks import Tasks
from rediscore.testing import patient_settings

__all__ = ["Path", "make_tasks"]


def make_tasks() -> Tasks:
    connections = RedisConnections(patient_settings(os.environ["JOBS_REDIS_URL"]))
    prefix = os.environ["JOBS_PREFIX"]
    tasks = Tasks(connections, "jobs", keys=KeySpace(prefix), lease=timedelta(seconds=3), max_recoveries=1)

    @tasks.task()
    async def slow(number: int) -> None:
        await connections.execute("RPUSH", f"{prefix}:began", number)
        await asyncio.sleep(2)
        await connections.execute("RPUSH", f"{prefix}:done", number)

    @tasks.task()
    async def count(number: int) -> None:
        # The effect and its mark are one command: whoever comes twice changes nothing.
        await asyncio.sleep(0.02)
        await connections.execute("HSETNX", f"{prefix}:counted", number, os.getpid())

    @tasks.task()
    async def poison() -> None:
        await connections.execute("RPUSH", f"{prefix}:victims", os.getpid())
        os.kill(os.getpid(), signal.SIGKILL)

    return tasks
