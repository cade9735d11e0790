"""A process that tries limits as often as it can, with a wall clock that is wrong by hours.

Prints, per limit, when each admitted call was sent and answered, on the clock that all processes share.
"""

import asyncio
import json
import sys
import time
from datetime import timedelta

from rediscore.client import RedisConnections
from rediscore.keys import KeySpace
from rediscore.ratelimit import GCRA, RateLimiter, SlidingLog, SlidingWindow, Strategy
from rediscore.testing import patient_settings

ATTEMPTS, HAMMERING = 500, 1.6
HOUR, SHORT = timedelta(hours=1), timedelta(seconds=0.4)
ONCE: dict[str, Strategy] = {
    "log": SlidingLog(100, HOUR),
    "window": SlidingWindow(100, HOUR),
    "gcra": GCRA(100, HOUR),
}
AGAIN: dict[str, Strategy] = {"short-log": SlidingLog(20, SHORT), "short-window": SlidingWindow(20, SHORT)}


async def main(url: str, prefix: str, hours: str) -> None:
    right = time.time
    time.time = lambda: right() + 3600 * float(hours)
    connections = RedisConnections(patient_settings(url))
    limiters = {
        name: RateLimiter(
            connections,
            name,
            strategy,
            keys=KeySpace(prefix),
            patience=timedelta(seconds=30),
            remember=timedelta(0),
        )
        for name, strategy in (ONCE | AGAIN).items()
    }
    admitted: dict[str, list[tuple[float, float]]] = {name: [] for name in limiters}

    async def attempt(name: str) -> None:
        sent = time.monotonic()
        answer = await limiters[name].hit("everybody")
        assert not answer.unknown
        if answer.allowed:
            admitted[name].append((sent, time.monotonic()))

    for limiter in limiters.values():
        await limiter.peek("everybody")  # the script is there, the connection too
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    for name in ONCE:
        await asyncio.gather(*[attempt(name) for _ in range(ATTEMPTS)])
    end = time.monotonic() + HAMMERING
    while time.monotonic() < end:
        await asyncio.gather(*[attempt(name) for name in AGAIN for _ in range(4)])
    sys.stdout.write(json.dumps(admitted))


asyncio.run(main(*sys.argv[1:]))
