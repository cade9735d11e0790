"""Breakers of many processes that open and close together."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any, Self

from rediscore.breaker.circuit import Circuit, Policy
from rediscore.breaker.member import UNREACHABLE, Member
from rediscore.client import RedisConnections
from rediscore.keys import KeySpace
from rediscore.pubsub import LiveChannels, Missed
from rediscore.retry import Backoff
from rediscore.scripts import Script

log = logging.getLogger(__name__)


class SharedBreakers:
    """Breakers of the same name in all processes on `keys` open and close together.

    Each counts its own calls. When one opens, a compare-and-set in Redis makes it known and the others hear
    it over pub/sub. Half-open, probes are leased in Redis, so `probes` bounds all processes together.
    Closed, no call asks Redis anything. When Redis is away, each breaker works for its process alone.

    Asynchronous context manager: outside of it each breaker works for its process alone too. Entering
    does not wait for Redis.

    Args:
        patience: longest that a probe waits for its lease before it goes by the local rules.
        memory: how long Redis remembers a circuit after its last change. One small hash each.
    """

    def __init__(
        self,
        connections: RedisConnections,
        *,
        keys: KeySpace,
        patience: timedelta = timedelta(milliseconds=250),
        memory: timedelta = timedelta(minutes=10),
    ) -> None:
        if patience <= timedelta(0) or memory <= timedelta(0):
            raise ValueError("Shared breakers need patience and memory above 0.")
        self._connections = connections
        self._space = keys
        self._channel = keys.key("breakers")
        self._patience = patience.total_seconds()
        self._memory_ms = round(memory.total_seconds() * 1000)
        self._members: dict[str, Member] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._following: asyncio.Task[None] | None = None

    @property
    def active(self) -> bool:
        """Whether it is entered."""
        return self._following is not None

    async def start(self) -> None:
        """Begin to share."""
        if self._following is None:
            self._following = asyncio.create_task(self._follow(), name="shared-breakers")

    async def aclose(self) -> None:
        """Hear and tell nothing more; the breakers go on by themselves."""
        following, self._following = self._following, None
        tasks = [*self._tasks] if following is None else [following, *self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def member(self, name: str, circuit: Circuit, policy: Policy, now: Callable[[], float]) -> Member:
        """For CircuitBreaker: take part. Raises ValueError when the name is taken."""
        if name in self._members:
            raise ValueError(f"There is a shared breaker {name!r} already; give both users the same one.")
        self._space.key("breaker", name)  # refuses names that make no key
        member = self._members[name] = Member(self, name, circuit, policy, now)
        if self.active:
            self.spawn(member.catch_up())
        return member

    def spawn(self, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        """Do it in the background; a failure of Redis is logged, for nobody can do anything about it."""
        task = asyncio.create_task(work, name="shared-breaker")
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    async def run(self, script: str, name: str, *args: str | int) -> Any:
        """Run one of the scripts for a breaker, within the patience."""
        key = self._space.key("breaker", tag=f"breaker:{name}")
        async with asyncio.timeout(self._patience):
            return await Script.load("rediscore.breaker", f"lua/{script}.lua")(
                self._connections,
                keys=[key],
                args=[self._memory_ms, self._channel, name, *args],
                idempotent=True,
            )

    def _ended(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            known = isinstance(error, UNREACHABLE)
            log.log(
                logging.INFO if known else logging.ERROR,
                "breaker_not_shared",
                extra={"error": type(error).__name__},
                exc_info=None if known else error,
            )

    async def _follow(self) -> None:
        channels, backoff, failed = LiveChannels(self._connections), Backoff(0.1, 1.0), 0
        while True:
            try:
                async with channels.subscription(self._channel) as messages:
                    await self._catch_up()
                    failed = 0
                    async for message in messages:
                        if isinstance(message, Missed):
                            await self._catch_up()
                        else:
                            self._hear(message)
            except UNREACHABLE as error:
                failed += 1
                log.info("shared_breakers_down", extra={"error": type(error).__name__})
            await asyncio.sleep(backoff.delay(failed))

    async def _catch_up(self) -> None:
        for member in list(self._members.values()):
            await member.catch_up()

    def _hear(self, message: bytes) -> None:
        name, *news = message.split(b" ")
        member = self._members.get(name.decode())
        if member is not None and len(news) == 4:
            member.adopt(*news)
