"""The rate limiter: checks of 50 tasks, of limits that are not reached."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from functools import partial
from itertools import cycle

import cashews
import throttled.asyncio as throttled
from limits import RateLimitItemPerHour
from limits.aio.storage import RedisStorage
from limits.aio.strategies import MovingWindowRateLimiter, SlidingWindowCounterRateLimiter
from rediscore.keys import KeySpace
from rediscore.ratelimit import GCRA, RateLimiter, SlidingWindow

from bench.rediscore.harness import TASKS, Bed, Role, Table, cases

HOUR = timedelta(hours=1)
LIMIT = 10_000_000
"""Never reached; a log of requests would grow for ever with it, so those have their own bound."""
USERS = [f"user-{number}" for number in range(200)]


async def nothing(user: str) -> None:
    """What is limited."""


async def tables(bed: Bed, stack: AsyncExitStack) -> Sequence[Table]:
    await bed.raw.set("raw", "1")
    storage = RedisStorage(f"async+{bed.url}", implementation="redispy")
    users = cycle(USERS)
    moving, counter = MovingWindowRateLimiter(storage), SlidingWindowCounterRateLimiter(storage)
    per_hour, few_per_hour = RateLimitItemPerHour(LIMIT), RateLimitItemPerHour(200)
    store = throttled.RedisStore(server=bed.url)
    cached = cashews.Cache()
    cached.setup(bed.url)
    await cached.init()
    stack.push_async_callback(cached.close)

    def throttle(algorithm: throttled.RateLimiterType) -> throttled.Throttled:
        quota = throttled.per_hour(LIMIT, burst=LIMIT)
        return throttled.Throttled(using=algorithm.value, quota=quota, store=store)

    gcra, window = (
        throttle(throttled.RateLimiterType.GCRA),
        throttle(throttled.RateLimiterType.SLIDING_WINDOW),
    )

    limited = cached.rate_limit(limit=LIMIT, period=3600, key="{user}")(nothing)
    keys, per_window, smooth = KeySpace("bench"), SlidingWindow(LIMIT, HOUR), GCRA(LIMIT, HOUR)
    on_pool = RateLimiter(bed.pool, "pool", per_window, keys=keys)
    multiplexed = RateLimiter(bed.multiplexed, "multiplexed", per_window, keys=keys)
    multiplexed_gcra = RateLimiter(bed.multiplexed, "multiplexed-gcra", smooth, keys=keys)
    add = cases(bed, tasks=TASKS)
    return [
        Table(
            f"check, {TASKS} tasks",
            [
                add("GET", Role.RAW, partial(bed.raw.get, "raw")),
                add("ours, sliding window, pool", Role.OURS, lambda: on_pool.hit(next(users))),
                add(
                    "ours, sliding window, multiplexed",
                    Role.OURS,
                    lambda: multiplexed.hit(next(users)),
                    ratio=0.35,
                ),
                add(
                    "ours, GCRA, multiplexed",
                    Role.OURS,
                    lambda: multiplexed_gcra.hit(next(users)),
                    ratio=0.35,
                ),
                add("limits, moving window", Role.PEER, lambda: moving.hit(few_per_hour, next(users))),
                add("limits, sliding counter", Role.PEER, lambda: counter.hit(per_hour, next(users))),
                add("throttled-py, GCRA", Role.PEER, lambda: gcra.limit(next(users))),
                add("throttled-py, sliding window", Role.PEER, lambda: window.limit(next(users))),
                add("cashews", Role.PEER, lambda: limited(next(users))),
            ],
            baseline="GET",
        )
    ]
