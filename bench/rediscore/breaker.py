"""The circuit breaker: what a call costs while all is well."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import partial

import aiobreaker
import cashews
import circuitbreaker
import purgatory
from rediscore.breaker import CircuitBreaker, SharedBreakers
from rediscore.keys import KeySpace

from bench.rediscore.harness import Bed, Role, Table, cases


async def work() -> None:
    """What is protected: does nothing."""


async def tables(bed: Bed, stack: AsyncExitStack) -> Sequence[Table]:
    await bed.raw.set("raw", "1")
    in_memory = purgatory.AsyncCircuitBreakerFactory()
    on_redis = purgatory.AsyncCircuitBreakerFactory(uow=purgatory.AsyncRedisUnitOfWork(bed.url))
    await on_redis.initialize()
    cached = cashews.Cache()
    cached.setup(bed.url)
    await cached.init()
    stack.push_async_callback(cached.close)
    local = CircuitBreaker("local")
    shared = CircuitBreaker("shared", shared=SharedBreakers(bed.pool, keys=KeySpace("bench")))
    add = cases(bed, tasks=1)
    return [
        Table(
            "call, closed",
            [
                add("GET", Role.RAW, partial(bed.raw.get, "raw")),
                add("no breaker", Role.RAW, work),
                add("ours", Role.OURS, local(work), us=0.8),
                add("ours, shared by processes", Role.OURS, shared(work), us=0.8, commands=0.001),
                add("circuitbreaker", Role.PEER, circuitbreaker.circuit()(work)),
                add("aiobreaker", Role.PEER, aiobreaker.CircuitBreaker()(work)),
                add("purgatory, memory", Role.PEER, in_memory("bench")(work)),
                add("purgatory, Redis", Role.PEER, on_redis("bench")(work)),
                add(
                    "cashews, Redis",
                    Role.PEER,
                    cached.circuit_breaker(errors_rate=50, period=60, ttl=5, key="bench")(work),
                ),
            ],
            baseline="GET",
        )
    ]
