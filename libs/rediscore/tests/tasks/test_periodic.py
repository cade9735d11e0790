"""Tasks that are called by themselves: each period once for all workers, at the times of a place."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rediscore.client import RedisConnections
from rediscore.keys import KeySpace
from rediscore.tasks import Daily, Every, Schedule, Tasks
from rediscore.tasks.periodic import call_on_time
from rediscore.testing import ManualClock, eventually

pytestmark = pytest.mark.proves("R17")

ROME = ZoneInfo("Europe/Rome")
NOON = datetime(2026, 6, 1, 12, 0, 30, tzinfo=UTC)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOON)


@pytest.fixture
async def tasks(connections: RedisConnections, key_prefix: str, clock: ManualClock) -> AsyncIterator[Tasks]:
    made = Tasks(connections, "jobs", keys=KeySpace(key_prefix), clock=clock)
    yield made
    await made.aclose()


@pytest.fixture
async def begin(tasks: Tasks) -> AsyncIterator[Callable[[], asyncio.Task[None]]]:
    """A worker's part in the schedule."""
    running: list[asyncio.Task[None]] = []

    def one() -> asyncio.Task[None]:
        running.append(asyncio.create_task(call_on_time(tasks, tasks.schedule[0])))
        return running[-1]

    yield one
    for each in running:
        each.cancel()
    await asyncio.gather(*running, return_exceptions=True)


async def test_each_period_once_for_all_and_the_last_missed_one_is_made_up_for(
    tasks: Tasks, clock: ManualClock, begin: Callable[[], asyncio.Task[None]]
) -> None:
    @tasks.task(every=timedelta(minutes=1))
    async def tick() -> None: ...

    async def calls() -> list[str]:
        return [entry.entry_id.partition("T")[2] for entry in await tasks.queue.peek(100)]

    async def settled(*wanted: str, workers: int = 2) -> None:
        async def as_wanted() -> bool:
            return await calls() == [f"{time}:00+00:00" for time in wanted]

        await eventually(as_wanted)
        await eventually(lambda: clock.sleepers == workers)  # and no more than that
        assert await as_wanted()

    workers = [begin(), begin()]
    await settled()  # seen for the first time: it begins with the next period
    await clock.advance(30)
    await settled("12:01")
    await clock.advance(60)
    await settled("12:01", "12:02")
    for worker in workers:
        worker.cancel()
    await asyncio.gather(*workers, return_exceptions=True)
    begin()
    await settled("12:01", "12:02", workers=1)  # a restart repeats nothing
    await clock.advance(60)
    await settled("12:01", "12:02", "12:03", workers=1)


async def test_while_nobody_works_periods_are_missed_but_for_the_last(
    tasks: Tasks, clock: ManualClock, begin: Callable[[], asyncio.Task[None]]
) -> None:
    @tasks.task(every=timedelta(minutes=1))
    async def tick() -> None: ...

    worker = begin()

    async def seen() -> bool:
        periods = tasks.keys.key("tasks", "periods", tag=f"{tasks.keys.prefix}:{tasks.name}")
        return bool(await tasks.connections.execute("ZCARD", periods) == 1)

    await eventually(seen)
    worker.cancel()
    await asyncio.gather(worker, return_exceptions=True)
    await clock.advance(600)
    begin()
    begin()

    async def ids() -> bool:
        return [entry.entry_id for entry in await tasks.queue.peek()] == ["tick@2026-06-01T12:10:00+00:00"]

    await eventually(ids)
    await eventually(lambda: clock.sleepers == 2)
    assert await ids()


def test_daily_at_the_time_of_a_place_also_when_its_clocks_change() -> None:
    daily = Daily(time(2, 30), zone=ROME)
    due = datetime(2026, 3, 27, tzinfo=UTC)
    days = [(due := daily.after(due)).astimezone(ROME).isoformat() for _ in range(4)]
    assert days == [
        "2026-03-27T02:30:00+01:00",
        "2026-03-28T02:30:00+01:00",
        "2026-03-29T03:30:00+02:00",  # 02:30 does not exist on that day
        "2026-03-30T02:30:00+02:00",
    ]
    due = datetime(2026, 10, 24, 12, tzinfo=UTC)
    days = [(due := daily.after(due)).astimezone(ROME).isoformat() for _ in range(2)]
    assert days == ["2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"]  # once, not twice


def test_on_some_days_of_the_week() -> None:
    weekly = Daily(time(9), zone=ROME, weekdays=frozenset({0, 4}))
    monday = weekly.after(datetime(2026, 6, 5, 12, tzinfo=UTC))  # a Friday afternoon
    assert monday.astimezone(ROME) == datetime(2026, 6, 8, 9, tzinfo=ROME)
    assert weekly.latest(monday - timedelta(seconds=1)) == datetime(2026, 6, 5, 9, tzinfo=ROME)
    assert str(weekly) == "daily at 09:00:00 Europe/Rome on Monday, Friday"


@settings(max_examples=60, deadline=None)
@given(
    schedule=st.one_of(
        st.builds(Every, st.timedeltas(timedelta(seconds=1), timedelta(days=40))),
        st.builds(
            Daily,
            st.times(),
            zone=st.sampled_from([ROME, ZoneInfo("America/New_York"), ZoneInfo("Australia/Lord_Howe"), UTC]),
            weekdays=st.frozensets(st.integers(0, 6), min_size=1),
        ),
    ),
    moment=st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
)
def test_every_moment_lies_between_two_periods(schedule: Schedule, moment: datetime) -> None:
    latest, after = schedule.latest(moment), schedule.after(moment)
    assert latest <= moment < after
    assert schedule.latest(latest) == latest
    assert schedule.after(latest) == after
    assert schedule.latest(after - timedelta(microseconds=1)) == latest


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="at least"):
        Every(timedelta(0))
    with pytest.raises(ValueError, match="zone="):
        Daily(time(9, tzinfo=UTC), zone=ROME)
    with pytest.raises(ValueError, match="Monday"):
        Daily(time(9), zone=ROME, weekdays=frozenset({7}))
