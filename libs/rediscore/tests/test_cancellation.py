"""Cancelling a task that talks to Redis ends it, whenever it comes."""

import asyncio

import pytest
from rediscore.client import RedisConnections


@pytest.mark.proves("R1")
async def test_a_cancellation_is_never_swallowed(connections: RedisConnections) -> None:
    async def loop_for_ever() -> None:
        while True:
            await connections.commands.ping()

    await connections.ping()
    for turns in range(60):
        task = asyncio.create_task(loop_for_ever())
        for _ in range(turns % 20):
            await asyncio.sleep(0)
        task.cancel()
        done, _ = await asyncio.wait([task], timeout=2.0)
        if not done:
            # Or it would hang the test as well.
            task.cancel()
        assert done, f"still running after it was cancelled at turn {turns % 20}"
    await connections.ping()
