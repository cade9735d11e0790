"""Breakers that share their state, in this process and in others."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from rediscore.breaker import CircuitBreaker, SharedBreakers
from rediscore.client import RedisConnections
from rediscore.keys import KeySpace
from rediscore.testing.nursery import Forked, Nursery

OPTIONS: dict[str, Any] = {"failures": 3, "probes": 2, "half_open_patience": timedelta(seconds=30)}

MakeBreaker = Callable[..., Awaitable[CircuitBreaker]]


@pytest.fixture
async def make_breaker(connections: RedisConnections, key_prefix: str) -> AsyncIterator[MakeBreaker]:
    """Breakers on one circuit, each as another process would have it."""
    async with AsyncExitStack() as stack:

        async def make(
            through: RedisConnections | None = None,
            patience: timedelta = timedelta(milliseconds=250),
            name: str = "psp",
            **options: Any,
        ) -> CircuitBreaker:
            shared = SharedBreakers(through or connections, keys=KeySpace(key_prefix), patience=patience)
            await stack.enter_async_context(shared)
            return CircuitBreaker(name, shared=shared, **(OPTIONS | options))

        yield make


class OtherProcess:
    """A breaker in a process of its own, which does as it is told."""

    def __init__(self, process: Forked) -> None:
        self.process = process

    async def tell(self, **order: Any) -> None:
        self.process.stdin.write(json.dumps(order).encode() + b"\n")
        await self.process.stdin.drain()

    async def hear(self) -> dict[str, Any]:
        async with asyncio.timeout(30):
            line = await self.process.stdout.readline()
        assert line, "the other process has died"
        heard: dict[str, Any] = json.loads(line)
        return heard

    async def ask(self, **order: Any) -> dict[str, Any]:
        await self.tell(**order)
        return await self.hear()


@pytest.fixture
async def other_process(
    nursery: Nursery, redis_url: str, key_prefix: str
) -> AsyncIterator[Callable[[], Awaitable[OtherProcess]]]:
    started: list[OtherProcess] = []

    async def start() -> OtherProcess:
        process = await nursery.start(Path(__file__).with_name("breaker_process.py"), redis_url, key_prefix)
        other = OtherProcess(process)
        started.append(other)
        assert await other.hear() == {"ready": True}
        return other

    yield start
    for other in started:
        if other.process.returncode is None:
            other.process.kill()
        await other.process.communicate()
