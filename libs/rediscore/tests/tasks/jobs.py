"""An application with tasks, for a worker in a process of its own."""

import asyncio
import os
from datetime import timedelta
from pathlib import Path

from rediscore.client import RedisConnections
from rediscore.keys import KeySpace
from rediscore.settings import RedisSettings
from rediscore.tasks import Tasks

__all__ = ["Path", "make_tasks"]


def make_tasks() -> Tasks:
    connections = RedisConnections(RedisSettings.from_url(os.environ["JOBS_REDIS_URL"]))
    prefix = os.environ["JOBS_PREFIX"]
    tasks = Tasks(connections, "jobs", keys=KeySpace(prefix), lease=timedelta(seconds=3))

    @tasks.task()
    async def slow(number: int) -> None:
        await connections.execute("RPUSH", f"{prefix}:began", number)
        await asyncio.sleep(2)
        await connections.execute("RPUSH", f"{prefix}:done", number)

    return tasks
