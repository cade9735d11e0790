"""Nothing outdated is served to a call that began later, however computations and changes interleave."""

import asyncio
from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from rediscore.cache import Cache
from rediscore.client import RedisConnections
from rediscore.testing import FaultProxy

pytestmark = [pytest.mark.proves("R5", "C2", "C3")]

MakeCache = Callable[..., Cache[Any]]

CHANGES = 500
KEYS = ["a", "b", "c"]


WAYS = {
    "delete": ["delete"],
    "tag": ["tag"],
    "plain": ["delete", "set", "prefix", "pull"],
    "all": ["delete", "set_tagged", "prefix", "pull", "tag"],
}


@pytest.mark.parametrize("way", WAYS)
async def test_thousands_of_interleavings_none_stale(
    make_cache: MakeCache, through_proxy: RedisConnections, fault_proxy: FaultProxy, way: str
) -> None:
    """The source counts up; a change is over when the cache was told. Readers of three processes, one far
    away, remember what a factory of random slowness reads at a random moment."""
    fault_proxy.latency = 0.002
    random = Random(7)
    tagged = way in ("tag", "all")
    caches = [make_cache(), make_cache(), make_cache(through=through_proxy)]
    source: Counter[str] = Counter()
    over: Counter[str] = Counter()
    stale: list[tuple[str, str, int, int]] = []
    served: Counter[str] = Counter()
    done = asyncio.Event()
    changes = 0

    async def write(number: int) -> None:
        nonlocal changes
        key = KEYS[number]  # one writer per key, so that its versions are over in their order
        while changes < CHANGES:
            changes += 1
            cache = caches[random.randrange(2)]
            source[key] += 1
            version = source[key]
            verb = random.choice(WAYS[way])
            if verb == "delete":
                await cache.delete(key)
            elif verb == "tag":
                await cache.invalidate_tags(f"tag:{key}")
            elif verb == "set":
                await cache.set(key, version)
            elif verb == "set_tagged":
                await cache.set(key, version, tags=[f"tag:{key}"])
            elif verb == "prefix":
                await cache.delete_prefix(key)
            else:
                await cache.pull(key)
            over[key] = version
            await asyncio.sleep(random.choice([0, 0, 0.001, 0.004]))
        done.set()

    async def read(cache: Cache[Any], number: int) -> None:
        mine = Random(number)

        async def factory() -> int:
            await asyncio.sleep(mine.choice([0, 0.001]))
            version = source[key]
            await asyncio.sleep(mine.choice([0, 0.001, 0.003]))
            return version

        while not done.is_set():
            key = mine.choice(KEYS)
            expected = over[key]
            if mine.random() < 0.3:
                verb, value = "get", await cache.get(key, expected)
            else:
                verb, value = (
                    "remember",
                    await cache.remember(key, factory, tags=[f"tag:{key}"] if tagged else ()),
                )
            served[verb] += 1
            if value < expected:
                stale.append((verb, key, value, expected))
            await asyncio.sleep(0)

    readers = [read(cache, number) for number, cache in enumerate(caches * 4)]
    await asyncio.wait_for(asyncio.gather(*(write(n) for n in range(len(KEYS))), *readers), 60)

    assert stale == []
    assert min(served.values()) > 20  # there was something to see
