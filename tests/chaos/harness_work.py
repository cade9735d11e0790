"""What a worker does with an item, the same in every kind: behave as its sort says, then have its effect."""

import asyncio
import os
import random
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rediscore.client import RedisConnections

from tests.chaos.harness_ledger import Effect, Ledger, Verdict
from tests.chaos.harness_run import LEASE, MAX_ATTEMPTS, sort_of

_IN_REDIS = Path(__file__).with_name("effect.lua").read_text("utf-8")


class Spoilt(Exception):  # noqa: N818  named by what it is
    """What a poison item says. It is the reason of its dead letter."""


async def behave(sort: str, attempt: int) -> None:
    """Take the time of that sort; fail or die if that is its nature."""
    await asyncio.sleep(LEASE * 1.5 if sort == "slow" else random.uniform(0, 0.01))
    if sort == "killer":
        await asyncio.sleep(0.1)  # so that most of its neighbours are done
        os.kill(os.getpid(), signal.SIGKILL)
    if sort == "poison" or (sort == "flaky" and attempt < MAX_ATTEMPTS):
        raise Spoilt("this one always fails" if sort == "poison" else "not yet")


class Workplace:
    """The two resources that work has effects on: the ledger in SQL, and a counter in Redis."""

    def __init__(self, ledger: Ledger, connections: RedisConnections, prefix: str) -> None:
        self.ledger = ledger
        self._connections = connections
        self._keys = (f"{prefix}:marks", f"{prefix}:effects")

    async def begin(self, item: str, token: int = 0) -> tuple[Verdict, int]:
        """Note an attempt; see `Ledger.begin`."""
        return await asyncio.to_thread(self.ledger.begin, item, token)

    async def finish(self, effects: Sequence[Effect]) -> None:
        """Have the effects, each where its sort belongs."""
        if in_sql := [effect for effect in effects if sort_of(effect.item) != "redis"]:
            await asyncio.to_thread(self.ledger.effect, in_sql)
        for effect in effects:
            if sort_of(effect.item) == "redis":
                # Safe to send twice: the mark is written in the same step.
                await self._connections.execute(
                    "EVAL", _IN_REDIS, 2, *self._keys, effect.item, effect.token, idempotent=True
                )

    async def in_redis(self) -> dict[str, int]:
        """Effects in Redis, by item."""
        found: Any = await self._connections.commands.hgetall(self._keys[1])
        return {item.decode(): int(times) for item, times in found.items()}
