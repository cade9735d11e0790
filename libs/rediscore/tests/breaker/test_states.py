"""One breaker by itself: when it opens, what it lets through half-open, what counts."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from rediscore.breaker import CircuitBreaker, CircuitOpen, CountWindow, State, TimeWindow, Transition
from rediscore.metrics import Metrics
from rediscore.retry import Backoff
from rediscore.testing import ManualClock

pytestmark = pytest.mark.proves("R11")


class DownError(Exception):
    pass


class NotFoundError(Exception):
    pass


async def ok() -> str:
    return "ok"


async def down() -> str:
    await asyncio.sleep(0)
    raise DownError


async def fail(breaker: CircuitBreaker, times: int = 1) -> None:
    for _ in range(times):
        with pytest.raises(DownError):
            await breaker.call(down)


def state(breaker: CircuitBreaker) -> State:
    """As it is now; mypy would take an attribute that it saw before for unchanged."""
    return breaker.state


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def half_open_soon(clock: ManualClock, **options: Any) -> CircuitBreaker:
    return CircuitBreaker("psp", failures=1, open_for=timedelta(seconds=5), clock=clock, **options)


@pytest.mark.proves("CB3")
async def test_opens_with_the_call_that_reaches_the_threshold_under_200_concurrent_failures() -> None:
    breaker = CircuitBreaker("psp", failure_rate=0.5, minimum_calls=20)
    gate, begun, states = asyncio.Event(), 0, []

    async def failing() -> None:
        nonlocal begun
        begun += 1
        await gate.wait()
        states.append(breaker.state)
        raise DownError

    calls = [asyncio.create_task(breaker.call(failing)) for _ in range(200)]
    await asyncio.sleep(0)
    gate.set()
    await asyncio.gather(*calls, return_exceptions=True)

    assert begun == 200
    assert states == [State.CLOSED] * 20 + [State.OPEN] * 180
    late = await asyncio.gather(*[breaker.call(failing) for _ in range(200)], return_exceptions=True)
    assert all(isinstance(result, CircuitOpen) for result in late)
    assert begun == 200


@pytest.mark.proves("CB3")
async def test_never_before_the_minimum_and_not_below_the_rate() -> None:
    breaker = CircuitBreaker("psp", failure_rate=0.5, minimum_calls=10, window=CountWindow(10))
    await fail(breaker, 9)
    assert state(breaker) is State.CLOSED
    await breaker.call(ok)
    assert state(breaker) is State.OPEN  # 9 of 10: the rate is looked at when the minimum is reached

    mild = CircuitBreaker("psp", failure_rate=0.5, minimum_calls=4, window=CountWindow(10))
    for _ in range(50):
        await mild.call(ok)
        await mild.call(ok)
        await fail(mild)
    assert state(mild) is State.CLOSED


async def test_failures_that_left_the_window_count_no_more(clock: ManualClock) -> None:
    counted = CircuitBreaker("psp", failures=3, window=CountWindow(5))
    timed = CircuitBreaker("psp", failures=3, window=TimeWindow(timedelta(seconds=10)), clock=clock)
    for breaker in (counted, timed):
        await fail(breaker, 2)
    for _ in range(5):
        await counted.call(ok)
    await clock.advance(11)
    for breaker in (counted, timed):
        await fail(breaker, 2)
        assert state(breaker) is State.CLOSED
        await fail(breaker)
        assert state(breaker) is State.OPEN


@pytest.mark.proves("CB1")
async def test_half_open_lets_three_of_fifty_through(clock: ManualClock) -> None:
    breaker = half_open_soon(clock, probes=3)
    await fail(breaker)
    await clock.advance(5)
    gate, in_flight, most = asyncio.Event(), 0, 0

    async def probe() -> None:
        nonlocal in_flight, most
        in_flight += 1
        most = max(most, in_flight)
        await gate.wait()
        in_flight -= 1

    calls = [asyncio.create_task(breaker.call(probe)) for _ in range(50)]
    await asyncio.sleep(0.01)
    assert (state(breaker), in_flight) == (State.HALF_OPEN, 3)
    gate.set()
    results = await asyncio.gather(*calls, return_exceptions=True)

    assert most == 3
    assert [isinstance(result, CircuitOpen) for result in results].count(True) == 47
    assert state(breaker) is State.CLOSED


@pytest.mark.proves("CB2")
async def test_cancelled_and_ignored_calls_never_count_and_give_their_probe_back(clock: ManualClock) -> None:
    breaker = half_open_soon(clock, record=BaseException, ignore=NotFoundError, probes=1)

    async def cancelled() -> None:
        task = asyncio.create_task(breaker.call(asyncio.sleep, 60))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    async def ignored() -> None:
        with pytest.raises(NotFoundError):
            async with breaker:
                raise NotFoundError

    for _ in range(30):
        await cancelled()
        await ignored()
    assert state(breaker) is State.CLOSED
    await fail(breaker)
    await clock.advance(5)
    for _ in range(5):
        await cancelled()
        await ignored()
    assert state(breaker) is State.HALF_OPEN
    await breaker.call(ok)
    assert state(breaker) is State.CLOSED


async def test_a_probe_that_never_ends_is_replaced_and_its_end_does_not_count(clock: ManualClock) -> None:
    breaker = half_open_soon(clock, probes=1, half_open_patience=timedelta(seconds=10))
    await fail(breaker)
    await clock.advance(5)
    lost = breaker.try_acquire()
    assert lost is not None
    with pytest.raises(CircuitOpen):
        await breaker.call(ok)
    await clock.advance(10)
    other = breaker.try_acquire()
    assert other is not None
    breaker.failed(lost, DownError())
    assert state(breaker) is State.HALF_OPEN
    breaker.succeeded(other)
    assert state(breaker) is State.CLOSED


async def test_what_began_before_it_opened_counts_neither_as_probe_nor_afterwards(clock: ManualClock) -> None:
    breaker = half_open_soon(clock, successes=1)
    early = [breaker.try_acquire() for _ in range(4)]
    await fail(breaker)
    await clock.advance(5)
    probe = breaker.try_acquire()
    for permit in early[:2]:
        assert permit is not None
        breaker.failed(permit, DownError())
    assert state(breaker) is State.HALF_OPEN
    assert probe is not None
    breaker.succeeded(probe)
    for permit in early[2:]:
        assert permit is not None
        breaker.failed(permit, DownError())
    assert state(breaker) is State.CLOSED


async def test_a_pause_that_grows_with_every_opening_in_a_row(clock: ManualClock) -> None:
    breaker = CircuitBreaker("psp", failures=1, open_for=Backoff(1, 5, jitter=False), probes=1, clock=clock)
    pauses = []
    for _ in range(5):
        await fail(breaker)
        pauses.append(breaker.retry_after)
        await clock.advance(breaker.retry_after)
    await breaker.call(ok)
    await fail(breaker)

    assert pauses == [1, 2, 4, 5, 5]
    assert breaker.retry_after == 1


async def test_slow_calls_open_it_and_a_slow_probe_opens_it_again(clock: ManualClock) -> None:
    breaker = CircuitBreaker(
        "psp",
        slow_after=timedelta(seconds=2),
        slow_rate=0.5,
        minimum_calls=4,
        open_for=timedelta(seconds=5),
        clock=clock,
    )

    async def takes(seconds: float) -> None:
        async with breaker:
            await clock.advance(seconds)

    for seconds in (0, 1.9, 2, 2):
        assert state(breaker) is State.CLOSED
        await takes(seconds)
    assert state(breaker) is State.OPEN
    await clock.advance(5)
    await takes(2)
    assert state(breaker) is State.OPEN


async def test_context_manager_nested_and_in_tasks_made_inside(clock: ManualClock) -> None:
    """Every entry ends its own permit: after all of them the probes are free again."""
    breaker = half_open_soon(clock, probes=3, successes=6)
    await fail(breaker)
    await clock.advance(5)

    async def child() -> None:
        async with breaker:
            await asyncio.sleep(0)

    for _ in range(2):
        async with breaker:
            task = asyncio.create_task(child())
            async with breaker:
                await task
        assert breaker.retry_after == 0
    assert state(breaker) is State.CLOSED


async def test_decorator_fallback_and_results_that_are_failures() -> None:
    breaker = CircuitBreaker(
        "psp", failures=2, ignore=NotFoundError, record_result=lambda status: status == 503
    )

    @breaker
    async def get(status: int) -> int:
        """Fetch."""
        return status

    async def cached(error: Exception) -> int:
        return 304

    async def missing() -> int:
        raise NotFoundError

    assert (get.__name__, get.__doc__) == ("get", "Fetch.")
    assert [await get(200), await get(503), await get(503)] == [200, 503, 503]
    with pytest.raises(CircuitOpen) as refused:
        await get(200)
    assert 29 < refused.value.retry_after <= 30
    assert await breaker.call(get, 200, fallback=cached) == 304
    assert await breaker.call(get, 200, fallback=lambda error: 0) == 0
    breaker.reset()
    assert await breaker.call(down, fallback=lambda error: type(error).__name__) == "DownError"
    with pytest.raises(NotFoundError):
        await breaker.call(missing, fallback=cached)


async def test_forced_states_hold_until_reset() -> None:
    breaker = CircuitBreaker("psp", failures=1)
    breaker.force_open()
    with pytest.raises(CircuitOpen):
        await breaker.call(ok)
    breaker.force_closed()
    await fail(breaker, 5)
    assert state(breaker) is State.CLOSED
    breaker.reset()
    await fail(breaker)
    assert state(breaker) is State.OPEN


async def test_listeners_and_metrics(clock: ManualClock) -> None:
    told: list[Transition] = []

    def broken(_: Transition) -> None:
        raise ZeroDivisionError

    metrics = Metrics()
    breaker = half_open_soon(clock, probes=1, listeners=[broken, told.append], metrics=metrics)
    await breaker.call(ok)
    await fail(breaker)
    with pytest.raises(CircuitOpen):
        await breaker.call(ok)
    assert metrics.summary()["breaker/psp"]["state"] == State.OPEN.value
    await clock.advance(5)
    await breaker.call(ok)

    assert [(t.before.name, t.after.name, t.reason) for t in told] == [
        ("CLOSED", "OPEN", "1 failures"),
        ("OPEN", "HALF_OPEN", "the pause is over"),
        ("HALF_OPEN", "CLOSED", "the probes succeeded"),
    ]
    assert metrics.summary()["breaker/psp"] == {
        "success": 2,
        "failure": 1,
        "rejected": 1,
        "to_open": 1,
        "to_half_open": 1,
        "to_closed": 1,
        "state": 0,
        "seconds_in_state": 0.0,
    }


@pytest.mark.parametrize(
    "options",
    [
        {"failure_rate": 0},
        {"failure_rate": 1.1},
        {"slow_rate": 0.5},
        {"slow_after": timedelta(1)},
        {"failures": 0},
        {"probes": 0},
        {"open_for": timedelta(0)},
        {"window": CountWindow(10), "minimum_calls": 11},
        {"window": CountWindow(10), "failures": 11},
    ],
    ids=str,
)
def test_options_that_contradict_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\.$"):
        CircuitBreaker("psp", **options)


@pytest.mark.parametrize(("left", "told"), [(0, "later"), (0.01, "in 0.1 s"), (2.5, "in 2.5 s")])
def test_a_refusal_says_when_to_ask_again(left: float, told: str) -> None:
    assert str(CircuitOpen("psp", left)) == f"Circuit psp is open; ask again {told} or use a fallback."
