"""Redis away, hanging, or silent just once."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

import pytest
from rediscore.client import RedisConnections
from rediscore.metrics import Metrics
from rediscore.ratelimit import GCRA, RateLimiter, SlidingLog, SlidingWindow, Strategy
from rediscore.scripts import Script
from rediscore.testing import FaultProxy, eventually

pytestmark = pytest.mark.proves("R12")

MakeLimiter = Callable[..., RateLimiter]

MINUTE = timedelta(minutes=1)
PATIENT = timedelta(seconds=10)


@pytest.mark.proves("T1")
@pytest.mark.parametrize(
    "limits",
    [(SlidingWindow(10, MINUTE),), (SlidingLog(10, MINUTE),), (GCRA(10, MINUTE), SlidingLog(10, MINUTE))],
    ids=["window", "log", "two"],
)
async def test_a_call_whose_answer_was_lost_counts_once(
    make_limiter: MakeLimiter,
    connections: RedisConnections,
    through_proxy: RedisConnections,
    fault_proxy: FaultProxy,
    limits: tuple[Strategy, ...],
) -> None:
    await connections.commands.script_load(Script.load("rediscore.ratelimit", "lua/check.lua").source)
    limiter = make_limiter(*limits, through=through_proxy, patience=PATIENT)
    fault_proxy.swallow_reply(after=b"EVALSHA")

    answer = await limiter.hit("ada", cost=3)

    assert fault_proxy.swallowed == 1
    assert (answer.allowed, answer.remaining, answer.unknown) == (True, 7, False)
    assert (await limiter.peek("ada")).remaining == 7


async def test_the_last_unit_stays_with_who_got_it_though_the_answer_was_lost(
    make_limiter: MakeLimiter,
    connections: RedisConnections,
    through_proxy: RedisConnections,
    fault_proxy: FaultProxy,
) -> None:
    await connections.commands.script_load(Script.load("rediscore.ratelimit", "lua/check.lua").source)
    limiter = make_limiter(SlidingLog(1, MINUTE), through=through_proxy, patience=PATIENT)
    fault_proxy.swallow_reply(after=b"EVALSHA")

    answer = await limiter.hit("ada")

    assert fault_proxy.swallowed == 1
    assert (answer.allowed, answer.retry_after) == (True, 0)
    assert not (await limiter.hit("ada")).allowed


@pytest.mark.proves("RL5")
@pytest.mark.parametrize("fault", ["hanging", "gone"])
async def test_without_redis_it_says_what_it_was_told_to_say_within_its_patience(
    make_limiter: MakeLimiter, through_proxy: RedisConnections, fault_proxy: FaultProxy, fault: str
) -> None:
    metrics = Metrics()
    patience = timedelta(milliseconds=200)
    lenient = make_limiter(
        SlidingLog(1, MINUTE),
        through=through_proxy,
        patience=patience,
        remember=timedelta(0),
        metrics=metrics,
    )
    strict = make_limiter(
        SlidingLog(1, MINUTE), through=through_proxy, patience=patience, when_unavailable="deny"
    )
    await lenient.hit("ada")
    fault_proxy.pause() if fault == "hanging" else fault_proxy.cut()
    loop = asyncio.get_running_loop()
    begun = loop.time()

    answers = [await lenient.hit("ada") for _ in range(100)]
    took = loop.time() - begun
    refused = await strict.hit("ada")

    assert all(answer.allowed and answer.unknown and not answer.quotas for answer in answers)
    assert took < 10  # 20 s without the breaker, 0.6 s with it; in between lies a busy machine
    assert metrics.summary()["ratelimit/api"]["unavailable"] == 100
    assert (refused.allowed, refused.unknown, refused.remaining) == (False, True, 0)
    assert refused.retry_after >= 1

    fault_proxy.resume() if fault == "hanging" else fault_proxy.restore()

    async def counts_again() -> bool:
        return not (await lenient.hit("ada")).unknown

    await eventually(counts_again, within=40, every=0.1)
    assert not (await lenient.hit("ada")).allowed
