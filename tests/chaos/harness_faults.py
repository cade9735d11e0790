"""Faults at random, from a seed that is printed: kill -9, pauses beyond the lease, restarts of Redis."""

import asyncio
import random
import time
from collections import Counter
from itertools import cycle

from tests.chaos.harness_fleet import Fleet
from tests.chaos.harness_redis import AofServer
from tests.chaos.harness_run import LEASE

RESTARTS = 3


class Faults:
    """What happens to a fleet and its Redis for some seconds. `told` says what did: (time, sentence)."""

    def __init__(self, fleet: Fleet, redis: AofServer, chance: random.Random) -> None:
        self.told: list[tuple[float, str]] = []
        self.kills: Counter[str] = Counter()
        self.pauses: Counter[str] = Counter()
        self._fleet = fleet
        self._redis = redis
        self._chance = chance

    async def run(self, seconds: float, every: float) -> None:
        """Hurt somebody every so often until the time is over; everybody paused goes on at the end."""
        end = asyncio.get_running_loop().time() + seconds
        async with asyncio.TaskGroup() as group:
            group.create_task(self._restart(seconds))
            async with asyncio.TaskGroup() as pauses:
                await self._hurt(end, every, pauses)

    async def _hurt(self, end: float, every: float, pauses: asyncio.TaskGroup) -> None:
        kinds = sorted({member.kind for member in self._fleet.members})
        self._chance.shuffle(kinds)
        # In turn, first a kill for each, so that a short run hits all: the member and the moment are chance.
        for turn, kind in enumerate(cycle(kinds)):
            await asyncio.sleep(self._chance.uniform(0.25, 1.75) * every)
            if asyncio.get_running_loop().time() >= end:
                return
            member = self._chance.choice([m for m in self._fleet.members if m.kind == kind])
            kills = turn < len(kinds) or self._chance.random() < 0.6
            seconds = LEASE * self._chance.uniform(1.3, 2.0)
            if kills or member.paused:
                self._fleet.kill(member)
                self.kills[kind] += 1
                self._tell(f"kill -9 {member.name}.{member.lives}")
            else:
                pauses.create_task(self._fleet.pause(member, seconds))
                self.pauses[kind] += 1
                self._tell(f"pause {member.name}.{member.lives} for {seconds:.1f} s")

    async def _restart(self, seconds: float) -> None:
        for number in range(1, RESTARTS + 1):
            await asyncio.sleep(seconds / (RESTARTS + 1))
            if number == RESTARTS - 1:
                self._redis.cut(self._chance)
            else:
                self._redis.restart()
            self._tell(f"Redis: {self._redis.restarts[-1]}")

    def _tell(self, what: str) -> None:
        self.told.append((time.time(), what))
