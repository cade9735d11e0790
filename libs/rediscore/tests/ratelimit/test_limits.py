"""What one limiter answers, and what its keys look like."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from redis.crc import key_slot
from rediscore.client import RedisConnections
from rediscore.metrics import Metrics
from rediscore.ratelimit import (
    GCRA,
    CostAboveLimit,
    RateLimiter,
    RateLimitExceeded,
    SlidingLog,
    SlidingWindow,
    Strategy,
)

pytestmark = pytest.mark.proves("R12")

MakeLimiter = Callable[..., RateLimiter]

MINUTE = timedelta(minutes=1)
ALL: list[Strategy] = [SlidingWindow(10, MINUTE), SlidingLog(10, MINUTE), GCRA(10, MINUTE)]
each_strategy = pytest.mark.parametrize("limit", ALL, ids=lambda limit: type(limit).__name__)


@each_strategy
async def test_two_calls_in_the_same_instant_are_two_and_remaining_is_exact(
    make_limiter: MakeLimiter, now: Any, limit: Strategy
) -> None:
    limiter = make_limiter(limit, now_us=now, remember=timedelta(0))

    answers = await asyncio.gather(*[limiter.hit("ada") for _ in range(12)])

    assert sorted(answer.remaining for answer in answers) == [0, 0, *range(10)]
    assert [answer.allowed for answer in answers].count(True) == 10


@each_strategy
async def test_refused_calls_cost_nothing_and_do_not_put_off_the_end(
    make_limiter: MakeLimiter, now: Any, limit: Strategy
) -> None:
    limiter = make_limiter(limit, now_us=now, remember=timedelta(0))
    assert (await limiter.hit("ada", cost=7)).remaining == 3
    wait = (await limiter.hit("ada", cost=4)).retry_after
    for _ in range(50):
        assert not (await limiter.hit("ada", cost=4)).allowed
    assert (await limiter.peek("ada", cost=3)).remaining == 3
    now.advance(wait)
    assert (await limiter.hit("ada", cost=4)).allowed


async def test_several_limits_are_all_or_nothing(make_limiter: MakeLimiter, now: Any) -> None:
    limiter = make_limiter(
        SlidingLog(2, timedelta(seconds=1), name="burst"),
        SlidingWindow(5, MINUTE, name="minute"),
        now_us=now,
        remember=timedelta(0),
    )
    for _ in range(2):
        assert (await limiter.hit("ada")).allowed
    for _ in range(10):
        assert (await limiter.hit("ada")).policy == "burst"
    refused = await limiter.peek("ada")
    assert [(quota.policy, quota.remaining) for quota in refused.quotas] == [("burst", 0), ("minute", 3)]
    now.advance(1)
    await limiter.hit("ada", cost=2)
    now.advance(1)
    await limiter.hit("ada")
    refused = await limiter.hit("ada", cost=1)
    assert (refused.allowed, refused.policy, refused.limit) == (False, "minute", 5)
    assert 57 <= refused.retry_after <= 61


async def test_an_identity_has_its_own_limit_its_keys_share_a_slot_and_do_not_name_it(
    make_limiter: MakeLimiter, connections: RedisConnections, key_prefix: str
) -> None:
    limits = (SlidingWindow(1, MINUTE), GCRA(5, MINUTE))
    limiter, secretive = make_limiter(*limits), make_limiter(*limits, secret=b"pepper")
    for identity in ("192.0.2.7", "{weird} \r\n:*", "ä" * 500):
        for made in (limiter, secretive):
            assert (await made.hit(identity)).allowed
            assert not (await made.hit(identity)).allowed

    keys = [key async for key in connections.commands.scan_iter(f"{key_prefix}:*", count=1000)]

    assert len(keys) == 3 * 2 * 3  # per identity and secret: two limits, one request
    assert len({key_slot(key) for key in keys}) > 1
    for key in keys:
        tag = key[key.index(b"{") : key.index(b"}")]
        assert {key_slot(other) for other in keys if tag in other} == {key_slot(key)}
        assert b"192" not in key


@pytest.mark.proves("RL3")
async def test_acquire_waits_as_long_as_it_must_or_not_at_all(make_limiter: MakeLimiter) -> None:
    limiter = make_limiter(GCRA(20, timedelta(seconds=2), burst=1))
    loop = asyncio.get_running_loop()
    begun = loop.time()

    await asyncio.gather(*[limiter.acquire("ada", wait=timedelta(seconds=20)) for _ in range(5)])

    assert loop.time() - begun >= 0.4  # four intervals; never faster than the limit
    slow = make_limiter(SlidingLog(1, MINUTE))
    await slow.acquire("bob", wait=timedelta(0))
    with pytest.raises(RateLimitExceeded) as refused:
        await slow.acquire("bob", wait=timedelta(seconds=5))
    assert 50 < refused.value.answer.retry_after <= 60


async def test_a_refusal_is_repeated_without_asking_as_long_as_it_is_certain(
    make_limiter: MakeLimiter, connections: RedisConnections
) -> None:
    metrics = Metrics()
    limiter = make_limiter(SlidingLog(2, MINUTE), metrics=metrics, remember=timedelta(seconds=30))
    for _ in range(2):
        await limiter.hit("ada")
    first = await limiter.hit("ada")
    again = [await limiter.hit("ada") for _ in range(1000)]

    assert not any(answer.allowed for answer in again)
    assert again[-1].retry_after < first.retry_after
    assert metrics.summary()["ratelimit/api"] == {"allowed": 2, "denied": 1, "denied_from_memory": 1000}
    assert not (await limiter.hit("ada", cost=2)).allowed  # another cost: asked for
    assert metrics.summary()["ratelimit/api"]["denied"] == 2
    await limiter.reset("ada")
    assert (await limiter.hit("ada")).remaining == 1


async def test_a_clock_that_was_set_back_neither_admits_more_nor_refuses_for_ever(
    make_limiter: MakeLimiter, now: Any, connections: RedisConnections, key_prefix: str
) -> None:
    for limit in ALL[:2]:
        limiter = make_limiter(limit, now_us=now, remember=timedelta(0))
        await limiter.hit("ada", cost=5)
        now.advance(-3600)
        assert (await limiter.hit("ada", cost=5)).remaining == 0
        assert not (await limiter.hit("ada")).allowed
        longest = max(65_000, connections.settings.repeat_ms)
        async for key in connections.commands.scan_iter(f"{key_prefix}:*", count=1000):
            assert 0 < await connections.execute("PTTL", key) <= longest


async def test_survives_script_flush(make_limiter: MakeLimiter) -> None:
    limiter = make_limiter(GCRA(1_000_000, timedelta(seconds=1)))
    for _ in range(3):
        limiter._script = type(limiter._script)("unknown", limiter._script.source, "0" * 40)
        answer = await limiter.hit("ada")
        assert answer.allowed
        assert not answer.unknown


@pytest.mark.parametrize("cost", [0, -1, 11])
async def test_a_cost_that_can_never_fit_is_an_error(make_limiter: MakeLimiter, cost: int) -> None:
    limiter = make_limiter(SlidingWindow(10, MINUTE), SlidingWindow(100, timedelta(hours=1)))
    with pytest.raises(CostAboveLimit, match="1 to 10"):
        await limiter.hit("ada", cost=cost)


@pytest.mark.parametrize(
    ("limits", "options"),
    [
        ([], {}),
        ([SlidingLog(1, MINUTE), SlidingLog(2, MINUTE)], {}),
        ([SlidingLog(1, MINUTE, name="a"), GCRA(2, MINUTE, name="a")], {}),
        ([SlidingLog(1, MINUTE, name='"')], {}),
        ([SlidingLog(1, MINUTE)], {"when_unavailable": "perhaps"}),
        ([SlidingLog(1, MINUTE)], {"patience": timedelta(0)}),
    ],
)
def test_limiters_that_contradict_themselves_are_refused(
    make_limiter: MakeLimiter, limits: list[Strategy], options: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match=r"\.$"):
        make_limiter(*limits, **options)


@pytest.mark.parametrize(
    "make",
    [
        lambda: SlidingWindow(0, MINUTE),
        lambda: SlidingWindow(1, MINUTE, slices=0),
        lambda: SlidingLog(1, timedelta(0)),
        lambda: GCRA(1, MINUTE, burst=0),
        lambda: GCRA(2_000_000, timedelta(seconds=1)),
    ],
)
def test_limits_that_make_no_sense_are_refused(make: Callable[[], Strategy]) -> None:
    with pytest.raises(ValueError, match=r"\.$"):
        make()
