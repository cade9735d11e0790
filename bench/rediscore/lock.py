"""The lock: free, and with 20 waiters of which each holds it for 2 ms."""

import asyncio
import itertools
import statistics
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from datetime import timedelta
from uuid import uuid4

import cashews
import redis_lock
from pottery import AIORedlock
from redis.asyncio.lock import Lock
from rediscore.client import RedisConnections
from rediscore.keys import KeySpace
from rediscore.lock import Locks

from bench.rediscore.harness import Bed, Case, Measured, Operation, Role, Table, cases

WAITERS = 20
HELD_SECONDS = 0.002
TTL = 10
RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"

Locked = Callable[[str], AbstractAsyncContextManager[object]]
"""Name → what is held inside."""


async def tables(bed: Bed, stack: AsyncExitStack) -> Sequence[Table]:
    contenders = await ways(bed, stack)
    add = cases(bed, tasks=1)
    free = [
        add(name, role, use(locked, "free"), **goals)
        for name, role, locked, goals, _ in contenders
        if locked is not None
    ]
    waiting = [
        Case(name, role, HandOver(bed, locked), goals)
        for name, role, locked, _, goals in contenders
        if role is not Role.RAW
    ]
    return [
        Table("acquire and release, free", free, baseline="SET NX, compare and delete"),
        Table(f"hand-over, {WAITERS} waiters, held {HELD_SECONDS * 1000:g} ms", waiting, share=0.5),
    ]


async def ways(
    bed: Bed, stack: AsyncExitStack
) -> list[tuple[str, Role, Locked, dict[str, float], dict[str, float]]]:
    """Name, whose, how, goals when free, goals with waiters."""
    cached = cashews.Cache()
    cached.setup(bed.url)
    await cached.init()
    stack.push_async_callback(cached.close)
    release = bed.raw.register_script(RELEASE)

    @asynccontextmanager
    async def plain(name: str) -> AsyncIterator[None]:
        token = uuid4().hex
        assert await bed.raw.set(f"raw:{name}", token, nx=True, px=TTL * 1000)
        yield
        await release(keys=[f"raw:{name}"], args=[token])

    @asynccontextmanager
    async def in_threads(name: str) -> AsyncIterator[None]:
        held = redis_lock.Lock(bed.control(), name, expire=TTL)
        if name == "free":
            held.acquire()
        else:
            await asyncio.to_thread(held.acquire)
        yield
        held.release()

    def redis_py(name: str, sleep: float = 0.1) -> Lock:
        return Lock(bed.raw, f"redis-py:{name}", timeout=TTL, sleep=sleep)

    def pottery(name: str) -> AIORedlock:
        return AIORedlock(key=name, masters={bed.raw}, auto_release_time=TTL)

    def ours(connections: RedisConnections) -> Locked:
        locks = Locks(connections, keys=KeySpace(f"bench-{uuid4().hex}"))
        stack.push_async_callback(locks.aclose)
        return lambda name: locks.lock(name, ttl=timedelta(seconds=TTL))

    served = {"hand-over ms": 0.5, "inversions": 0.0, "commands": 11.0}
    return [
        ("SET NX, compare and delete", Role.RAW, plain, {}, {}),
        ("ours, pool", Role.OURS, ours(bed.pool), {"ratio": 1.15}, served),
        ("ours, multiplexed", Role.OURS, ours(bed.multiplexed), {"ratio": 0.60}, served),
        ("redis-py Lock", Role.PEER, redis_py, {}, {}),
        ("redis-py Lock, sleep=0.001", Role.PEER, lambda name: redis_py(name, sleep=0.001), {}, {}),
        ("pottery AIORedlock", Role.PEER, pottery, {}, {}),
        ("cashews lock", Role.PEER, lambda name: cached.lock(f"cashews:{name}", expire=TTL), {}, {}),
        ("python-redis-lock (threads)", Role.BLOCKING, in_threads, {}, {}),
    ]


def use(locked: Locked, name: str) -> Operation:
    async def once() -> None:
        async with locked(name):
            pass

    return once


class HandOver:
    """Waiters come one after the other while somebody holds the lock; then he lets go.

    `hand-over ms`: from the begin of a release to the next holder, median. `inversions`: share of pairs
    that got it in another order than they came (0 = first come, first served; 0.5 = by chance).
    """

    def __init__(self, bed: Bed, locked: Locked) -> None:
        self._bed, self._locked = bed, locked

    async def __call__(self) -> Measured:
        name = uuid4().hex
        got: list[tuple[int, float]] = []
        released: list[float] = []

        async def waiter(number: int) -> None:
            async with self._locked(name):
                got.append((number, time.perf_counter()))
                await asyncio.sleep(HELD_SECONDS)
                released.append(time.perf_counter())

        commands = self._bed.commands()
        async with asyncio.TaskGroup() as group, self._locked(name):
            for number in range(WAITERS):
                group.create_task(waiter(number))
                await self._bed.raw.ping()  # a round trip apart, so that there is an order
            await asyncio.sleep(0.02)
            released.append(time.perf_counter())
        commands = self._bed.commands() - commands - WAITERS
        pairs = list(itertools.combinations([number for number, _ in got], 2))
        hand_overs = [at - before for (_, at), before in zip(got, released, strict=False)]
        return {
            "hand-over ms": statistics.median(hand_overs) * 1000,
            "inversions": sum(first > second for first, second in pairs) / len(pairs),
            "commands": commands / (WAITERS + 1),
        }
