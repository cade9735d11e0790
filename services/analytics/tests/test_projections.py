"""The projections are a fold over the archive, whatever happens to Redis and to the projector."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import redis.asyncio
from analytics_service.fold import fold
from analytics_service.projections import Checkpoint
from analytics_service.projector import BATCH, DAYS_KEPT, oldest_day
from rediscore.testing import FaultProxy

from services.analytics.tests.harness import Analytics, Books, House, captured, confirmed, open_books

NOW = datetime.now(UTC)


async def test_a_long_archive_is_counted_in_batches(books: Books) -> None:
    await books.keep(*(captured(number) for number in range(2 * BATCH + 1)))
    assert await books.count() == 3
    assert await books.projected() == await books.folded()
    assert await books.checkpoint() == 2 * BATCH + 1


@pytest.mark.proves("I6")
async def test_projectors_of_two_replicas_count_every_event_once(books: Books) -> None:
    await books.keep(*(confirmed(number, "margherita") for number in range(50)))
    await asyncio.gather(*(books.count() for _ in range(4)))
    for number in range(50, 60):
        await books.keep(confirmed(number, "hawaiian"))
        await asyncio.gather(*(books.count() for _ in range(4)))
    assert await books.projections.popular(10) == [("margherita", 50), ("hawaiian", 10)]
    assert await books.projected() == await books.folded()


@pytest.mark.proves("I6")
async def test_a_step_whose_reply_is_lost_counts_once(
    books: Books, house: House, redis_road: FaultProxy
) -> None:
    await books.keep(*(captured(number) for number in range(3)))
    async with open_books(house.database_url, redis_road.url(house.redis_url)) as far:
        assert await far.projector.step() is False  # the server knows the script now
        await books.keep(captured(3))
        redis_road.swallow_reply(after=b"EVALSHA")
        with pytest.raises(redis.asyncio.ConnectionError):
            await far.projector.step()
        assert redis_road.swallowed == 1
        assert await books.checkpoint() == 4  # it was done
        assert await far.projector.step() is False
    assert await books.projected() == await books.folded()


@pytest.mark.proves("I6", "P13")
async def test_a_wiped_redis_is_folded_again_by_itself(
    analytics: Analytics, books: Books, house: House
) -> None:
    for pizza in ("margherita", "hawaiian", "margherita"):
        await house.place(pizza)
    await analytics.archived(9)
    before = await books.projected()
    async with redis.asyncio.Redis.from_url(house.redis_url) as client:
        await client.flushdb()
    assert (await books.projected()).pizzas == {}
    await analytics.archived(9)
    assert await books.projected() == before == await books.folded()

    await house.place("hawaiian")
    await analytics.archived(12)
    assert await books.projected() == await books.folded()
    assert (await books.projected()).pizzas == {"margherita": 2, "hawaiian": 2}


async def test_a_wipe_in_the_middle_of_a_step_loses_nothing(books: Books, house: House) -> None:
    await books.keep(*(captured(number) for number in range(10)))
    await books.count()
    await books.keep(captured(10))
    state = await books.projections.state()
    async with redis.asyncio.Redis.from_url(house.redis_url) as client:
        await client.flushdb()
    # What the step that was under way sends now is refused: its checkpoint is gone.
    late = await books.projections.apply(
        fold([captured(10)]), start=state.checkpoint, end=Checkpoint(11, "e-10"), fresh=False,
        oldest=oldest_day(NOW),
    )  # fmt: skip
    assert not late
    await books.count()
    assert await books.projected() == await books.folded()


async def test_counts_of_another_archive_are_dropped(books: Books, house: House, tmp_path: Path) -> None:
    await books.keep(*(captured(number) for number in range(10)))
    await books.count()
    for number, content in enumerate(([], [captured(100)], [captured(n) for n in range(200, 220)])):
        other = f"sqlite:///{tmp_path / f'other-{number}.db'}"
        async with open_books(other, house.redis_url) as replaced:
            await replaced.keep(captured(99), *content)
            await replaced.count()
            assert await replaced.projected() == await replaced.folded()


async def test_hours_are_kept_for_eight_days(books: Books) -> None:
    def days_ago(days: int) -> datetime:
        return NOW - timedelta(days=days)

    await books.keep(*(captured(n, time=days_ago(n)) for n in range(DAYS_KEPT + 3)))
    await books.count()
    kept = {hour.day for hour in await books.projections.hours()}
    assert kept == {days_ago(n).date() for n in range(DAYS_KEPT)}

    # A straggler of an old day is not kept either.
    await books.keep(captured(100, time=days_ago(DAYS_KEPT)))
    await books.count()
    assert {hour.day for hour in await books.projections.hours()} == kept

    # A day later the oldest goes.
    start = (await books.projections.state()).checkpoint
    assert start is not None
    assert await books.projections.apply(
        fold([]), start=start, end=start, fresh=False, oldest=oldest_day(NOW + timedelta(days=1))
    )
    kept = {hour.day for hour in await books.projections.hours()}
    assert kept == {days_ago(n).date() for n in range(DAYS_KEPT - 1)}


async def test_every_key_runs_out_some_day(books: Books, house: House) -> None:
    await books.keep(confirmed(1, "margherita"), captured(2))
    await books.count()
    async with redis.asyncio.Redis.from_url(house.redis_url) as client:
        ours = [key async for key in client.scan_iter("analytics:v1:{analytics:projections}:*")]
        assert len(ours) == 3
        assert all([await client.pttl(key) > 0 for key in ours])


async def test_an_unreadable_event_is_counted_shown_and_passed(books: Books) -> None:
    await books.keep(captured(1, amount="much"), captured(2))
    await books.count()
    assert await books.projected() == await books.folded()
    assert (await books.projections.state()).unreadable == 1
    assert list((await books.projections.hours()).values()) == [100]


async def test_equals_are_listed_by_id(books: Books) -> None:
    pizzas = ["pepperoni", "hawaiian", "margherita", "pepperoni", "calzone"]
    await books.keep(*(confirmed(number, pizza) for number, pizza in enumerate(pizzas)))
    await books.count()
    assert await books.projections.popular(3) == [("pepperoni", 2), ("calzone", 1), ("hawaiian", 1)]
