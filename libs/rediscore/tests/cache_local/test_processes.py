"""Several real processes: what one changes, the others do not serve from memory."""

import asyncio
import json
import time
from datetime import timedelta
from pathlib import Path

import pytest
from rediscore.cache import Cache, Local
from rediscore.cache.local import MISSING
from rediscore.client import RedisConnections
from rediscore.keys import KeySpace
from rediscore.metrics import Metrics
from rediscore.testing import eventually, patient_settings
from rediscore.testing.nursery import Nursery

from .conftest import followed, read

HERE = Path(__file__).parent
KEYS = 12


@pytest.mark.proves("R7", "C4")
@pytest.mark.parametrize("transport", ["pool", "multiplexed"])
async def test_at_rest_no_value_in_memory_differs_from_redis(
    nursery: Nursery, redis_url: str, other: RedisConnections, base: str, transport: str
) -> None:
    connections = RedisConnections(patient_settings(redis_url, transport=transport))
    reads = hits = 0
    try:
        local = await followed(connections, base)
        writers = [
            await nursery.start(HERE / "writer_process.py", redis_url, base, KEYS, 1.0) for _ in range(2)
        ]
        writing = asyncio.gather(*(writer.communicate() for writer in writers))

        async def reader() -> None:
            nonlocal reads, hits
            while not writing.done():
                for key in map(str, range(KEYS)):
                    hits += local.get(key) is not MISSING
                    reads += 1
                    await read(connections, local, base, key)
                await asyncio.sleep(0)

        await asyncio.gather(*(reader() for _ in range(4)))
        written = sum(int(output) for output, _ in writing.result())
        await asyncio.sleep(1)
        await connections.ping()
        kept = {key: local.get(key) for key in map(str, range(KEYS))}
        stored = {key: (await other.execute("GET", f"{base}:e:{key}")).decode() for key in kept}
        stale = [key for key, value in kept.items() if value is not MISSING and value != stored[key]]
        assert not stale, f"{len(stale)} of {len(kept)} after {reads} reads against {written} writes"
        assert reads > 200
        assert hits > 20
        assert written > 50
        assert all([await read(connections, local, base, key) == stored[key] for key in kept])
    finally:
        await connections.aclose()


@pytest.mark.proves("C3", "R5", "R7")
@pytest.mark.parametrize(
    ("change", "transport"),
    [
        ("tags", "pool"),
        ("tags", "multiplexed"),
        ("delete", "pool"),
        ("overwrite", "multiplexed"),
        ("clear", "pool"),
    ],
)
async def test_what_was_invalidated_is_not_served_by_another_process(
    nursery: Nursery, redis_url: str, key_prefix: str, change: str, transport: str
) -> None:
    connections = RedisConnections(patient_settings(redis_url, transport=transport))
    metrics = Metrics()
    cache: Cache[str] = Cache(
        connections,
        "shared",
        keys=KeySpace(key_prefix),
        ttl=timedelta(minutes=1),
        local=Local(),
        metrics=metrics,
    )
    names = [f"k{key}" for key in range(KEYS)]
    try:
        for name in names:
            await cache.set(name, "old", tags=["menu"])

        async def all_from_memory() -> bool:
            before = metrics.meter("cache", "shared").counts["local_hit"]
            assert [await cache.get(name) for name in names] == ["old"] * KEYS
            return metrics.meter("cache", "shared").counts["local_hit"] - before == KEYS

        await eventually(all_from_memory)
        reader = await nursery.start(HERE / "reader_process.py", redis_url, key_prefix, transport, KEYS)
        async with asyncio.timeout(30):
            assert await reader.stdout.readline() == b"ready\n"
        if change == "tags":
            await cache.invalidate_tags("menu")
        elif change == "delete":
            await cache.delete(*names)
        elif change == "clear":
            await cache.clear()
        else:
            await cache.set_many(dict.fromkeys(names, "new"))
        returned = time.monotonic()
        expected = "new" if change == "overwrite" else None
        assert [await cache.get(name) for name in names] == [expected] * KEYS, "here at once"
        await asyncio.sleep(0.3)
        async with asyncio.timeout(30):
            output, _ = await reader.communicate(b"")
        told = json.loads(output)
        assert told["local_hits"] > KEYS
        assert told["last"] == (expected or "")
        # 50 ms is what it takes when nobody else wants the processor; a millisecond is usual.
        assert told["last_old"] - returned < 1.0
        assert told["last_old"] > returned - 5, "it has served the old value until then"
    finally:
        await cache.aclose()
        await connections.aclose()
