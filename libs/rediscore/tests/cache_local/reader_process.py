"""Reads a cache with a local level, all the time, until its input ends.

python reader_process.py URL PREFIX TRANSPORT KEYS. Prints "ready" when all keys are served from memory,
at the end how often something was served from memory and when, last, an old value.
"""

import asyncio
import json
import sys
import time
from datetime import timedelta

from rediscore.cache import Cache, Local
from rediscore.client import RedisConnections
from rediscore.keys import KeySpace
from rediscore.metrics import Metrics
from rediscore.testing import patient_settings


async def main(url: str, prefix: str, transport: str, keys: int) -> None:
    connections = RedisConnections(patient_settings(url, transport=transport))
    metrics = Metrics()
    cache: Cache[str] = Cache(
        connections,
        "shared",
        keys=KeySpace(prefix),
        ttl=timedelta(minutes=1),
        local=Local(),
        metrics=metrics,
    )
    counts = metrics.meter("cache", "shared").counts
    end = asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    ready, last_old, last = False, 0.0, ""
    while not end.done():
        before = counts["local_hit"]
        for key in range(keys):
            last = await cache.get(f"k{key}") or ""
            if last == "old":
                last_old = time.monotonic()
        if not ready and counts["local_hit"] - before == keys:
            ready = True
            print("ready", flush=True)  # noqa: T201
        await asyncio.sleep(0)
    print(json.dumps({"local_hits": counts["local_hit"], "last_old": last_old, "last": last}))  # noqa: T201
    await cache.aclose()
    await connections.aclose()


asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])))
