"""Readers killed with -9 at any time, under load: every event has its effect once."""

import asyncio
import os
import random
import time

import pytest
from rediscore.testing import eventually
from rediscore.testing.streams import StreamKit

from .conftest import Spawn

pytestmark = pytest.mark.proves("R18", "X1", "X3")

READERS = 3


async def chaos(kit: StreamKit, spawn: Spawn, mode: str, *, seconds: float, kills: int) -> None:
    chance = random.Random(7)
    readers = [await spawn(f"reader-{n}", mode) for n in range(READERS)]
    until = time.monotonic() + seconds
    published = killed = 0
    while killed < kills or time.monotonic() < until:
        await kit.publish(
            *(kit.event(f"e{published + n}", f"s{n % 11}", effect=True, seconds=0.01) for n in range(30))
        )
        published += 30
        await kit.publisher.trim(kit.stream, keep=1)
        begun = published - 15

        async def under_way(begun: int = begun) -> bool:
            return int(await kit.commands.hlen(f"{kit.prefix}:effects")) >= begun

        await eventually(under_way, within=60)
        await asyncio.sleep(chance.random() * 0.1)
        victim = chance.randrange(READERS)
        readers[victim].kill()
        await readers[victim].wait()
        killed += 1
        readers[victim] = await spawn(f"reader-{READERS + killed}", mode)
    await kit.settled(within=60)
    effects = {
        name.decode(): int(count)
        for name, count in (await kit.commands.hgetall(f"{kit.prefix}:effects")).items()
    }
    assert effects == {f"e{n}": 1 for n in range(published)}
    assert await kit.dead() == []


@pytest.mark.parametrize("mode", ["ordered", "competing"])
async def test_nothing_is_lost_or_doubled(kit: StreamKit, spawn: Spawn, mode: str) -> None:
    await chaos(kit, spawn, mode, seconds=0.0, kills=3)


@pytest.mark.soak
@pytest.mark.timeout(0)
@pytest.mark.parametrize("mode", ["ordered", "competing"])
async def test_nothing_is_lost_or_doubled_for_long(kit: StreamKit, spawn: Spawn, mode: str) -> None:
    await chaos(kit, spawn, mode, seconds=float(os.environ.get("SOAK_SECONDS", "60")), kills=10)
