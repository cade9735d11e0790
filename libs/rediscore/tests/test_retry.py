"""Retries: only what may pass by itself, within a budget, spread by jitter."""

from random import Random

import pytest
import redis.exceptions
from rediscore.retry import Backoff, RetryBudget, run_idempotent
from rediscore.testing import ManualClock

pytestmark = pytest.mark.proves("R1")


class Immediately(ManualClock):
    """Sleeps take no time but are counted."""

    def __init__(self) -> None:
        super().__init__()
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await self.advance(seconds)


class Flaky:
    """Fails with the given errors in turn, then answers."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.calls = 0

    async def __call__(self) -> str:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "answer"


def test_backoff_grows_up_to_its_maximum() -> None:
    backoff = Backoff(0.1, 1.0, multiplier=2, jitter=False)

    assert [backoff.delay(n) for n in (1, 2, 3, 4, 5, 10_000)] == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]


def test_full_jitter_spreads_over_the_whole_pause() -> None:
    backoff, random = Backoff(1.0, 60.0), Random(7)
    pauses = [backoff.delay(3, random) for _ in range(1000)]

    assert min(pauses) < 0.2
    assert max(pauses) > 3.8
    assert 1.8 < sum(pauses) / 1000 < 2.2


@pytest.mark.parametrize("wrong", [(-1, 1), (2, 1)])
def test_backoff_that_makes_no_sense_is_refused(wrong: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="0 <= initial <= maximum"):
        Backoff(*wrong)


@pytest.mark.parametrize(
    "error",
    [
        redis.exceptions.ConnectionError("refused"),
        redis.exceptions.TimeoutError("no reply"),
        redis.exceptions.BusyLoadingError("loading"),
    ],
)
async def test_what_may_pass_is_tried_again(error: Exception) -> None:
    operation, clock = Flaky(error, error), Immediately()

    assert await run_idempotent(operation, clock=clock) == "answer"
    assert operation.calls == 3
    assert len(clock.slept) == 2


@pytest.mark.parametrize(
    "error",
    [
        redis.exceptions.AuthenticationError("wrong password"),
        redis.exceptions.ResponseError("WRONGTYPE"),
        ValueError("a bug"),
    ],
)
async def test_what_cannot_pass_is_raised_at_once(error: Exception) -> None:
    operation = Flaky(error, error)

    with pytest.raises(type(error)):
        await run_idempotent(operation, clock=Immediately())
    assert operation.calls == 1


async def test_retries_are_counted() -> None:
    operation = Flaky(*[redis.exceptions.ConnectionError("refused")] * 99)

    with pytest.raises(redis.exceptions.ConnectionError):
        await run_idempotent(operation, policy=RetryBudget(retries=4, seconds=1e9), clock=Immediately())
    assert operation.calls == 5


async def test_time_is_bounded() -> None:
    operation, clock = Flaky(*[redis.exceptions.ConnectionError("refused")] * 99), Immediately()
    policy = RetryBudget(retries=99, backoff=Backoff(1.0, 1.0, jitter=False), seconds=3.5)

    with pytest.raises(redis.exceptions.ConnectionError):
        await run_idempotent(operation, policy=policy, clock=clock)
    assert clock.monotonic() <= 3.5
    assert operation.calls == 4
