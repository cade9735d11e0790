"""A process with a cache: loads one key from many tasks, counts in Redis how often the factory runs.

Arguments: address, key prefix, number of tasks, seconds that the factory takes, and "fail" if it shall end
in an error. Says "ready", waits for a line on stdin, says what it got and after how many seconds.
"""

import asyncio
import sys
import time
from datetime import timedelta

from rediscore.cache import Cache
from rediscore.client import RedisConnections
from rediscore.keys import KeySpace
from rediscore.testing import patient_settings


async def main(url: str, prefix: str, tasks: int, seconds: float, fails: bool) -> None:
    connections = RedisConnections(patient_settings(url))
    cache: Cache[int] = Cache(
        connections,
        "things",
        keys=KeySpace(prefix),
        ttl=timedelta(seconds=60),
        patience=timedelta(seconds=5),
        fail_safe=timedelta(minutes=10) if fails else None,
        fail_safe_throttle=timedelta(minutes=1),
    )

    async def factory() -> int:
        calls: int = await connections.execute("INCR", f"{prefix}:calls")
        await asyncio.sleep(seconds)
        if fails:
            raise ConnectionError("the source is away")
        return calls

    await connections.ping()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.readline)
    begun = time.monotonic()
    values = set(await asyncio.gather(*(cache.remember("k", factory) for _ in range(tasks))))
    for _ in range(5 if fails else 0):
        await asyncio.sleep(2 * seconds)
        values.add(await cache.remember("k", factory))
    sys.stdout.write(f"{values} {time.monotonic() - begun:.3f}\n")
    sys.stdout.flush()
    await cache.aclose()
    await connections.aclose()


asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]), "fail" in sys.argv[5:]))
