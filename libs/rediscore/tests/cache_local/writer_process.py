"""Writes rising numbers: python writer_process.py URL BASE KEYS SECONDS. Prints how many."""

import asyncio
import sys
import time

from rediscore.client import RedisConnections
from rediscore.testing import patient_settings


async def main(url: str, base: str, keys: int, seconds: float) -> None:
    connections = RedisConnections(patient_settings(url))
    until = time.monotonic() + seconds
    written = 0

    async def write(key: int) -> None:
        nonlocal written
        number = 0
        while time.monotonic() < until:
            number += 1
            written += 1
            await connections.execute("SET", f"{base}:e:{key}", number, "PX", 60_000)
            await asyncio.sleep(0.002 * key)  # some keys all the time, others now and then

    await asyncio.gather(*(write(key) for key in range(keys)))
    await connections.aclose()
    print(written)  # noqa: T201


asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])))
