"""The projections are a fold over the archive, whatever happens to Redis and to the projector."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest
import redis.asyncio
from analytics_service.lag import ProjectionLag
from analytics_service.projections import Checkpoint, Generation
from analytics_service.projector import BATCH, Projector
from analytics_service.tally import DAYS_KEPT, Table, Tally, board_table, customer_table, day_table
from pizzeria_contracts.events import OrderCancelled
from prometheus_client import CollectorRegistry
from rediscore.testing import FaultProxy, eventually

from services.analytics.tests.evening import evening, event
from services.analytics.tests.harness import Analytics, Books, House, captured, confirmed, open_books

NOW = datetime.now(UTC)


def days_ago(days: int) -> datetime:
    return NOW - timedelta(days=days)


async def read(books: Books, table: Table) -> dict[str, int]:
    live = await books.live()
    assert live is not None
    return (await books.projections.tables(live.name, [table]))[table]


@pytest.mark.proves("I6", "P11", "P12")
@pytest.mark.parametrize("seed", [1, 2])
async def test_what_is_counted_step_by_step_is_the_fold_from_nothing(books: Books, seed: int) -> None:
    """Everything that happens to orders, archived in any order, in steps of any size."""
    random = Random(seed)
    events = evening(seed, 40)
    random.shuffle(events)
    while events:
        some, events = events[: (cut := random.randint(1, 150))], events[cut:]
        await books.keep(*some)
        await books.count()
    found = await books.found()
    assert found == await books.expected()
    assert {place.split(":")[0] for place, _ in found} == {"board", "customer", "day", "segment", "timings"}


async def test_what_comes_to_nothing_is_not_listed(books: Books) -> None:
    """A customer whose only order is cancelled later is on no board with zero orders."""
    await books.keep(confirmed(1, "calzone"))
    await books.count()
    live = await books.live()
    assert live is not None
    board = board_table("customers-orders", "all", NOW)
    assert await books.projections.best(live.name, board, 10) == [("c-1", 1)]
    assert len(await read(books, customer_table("c-1"))) == 2
    await books.keep(event(OrderCancelled(reason="customer", refunded="0.00"), time=NOW))
    await books.count()
    assert await books.projections.best(live.name, board, 10) == []
    assert await read(books, customer_table("c-1")) == {}


async def test_a_long_archive_is_counted_in_batches(books: Books) -> None:
    await books.keep(*(captured(number) for number in range(2 * BATCH + 1)))
    await books.count()
    assert await books.found() == await books.expected()
    assert await books.checkpoint() == 2 * BATCH + 1


@pytest.mark.proves("I6")
async def test_projectors_of_two_replicas_count_every_event_once(books: Books) -> None:
    await books.keep(*(confirmed(number, "margherita") for number in range(50)))
    await asyncio.gather(*(books.count() for _ in range(4)))
    for number in range(50, 60):
        await books.keep(confirmed(number, "hawaiian"))
        await asyncio.gather(*(books.count() for _ in range(4)))
    assert await books.popular() == {"margherita": 50, "hawaiian": 10}
    assert await books.found() == await books.expected()


@pytest.mark.proves("I6")
async def test_a_step_whose_reply_is_lost_counts_once(
    books: Books, house: House, redis_road: FaultProxy
) -> None:
    await books.keep(*(captured(number) for number in range(3)))
    async with open_books(house.database_url, redis_road.url(house.redis_url)) as far:
        await far.count()  # the server knows the script now
        await books.keep(captured(3))
        redis_road.swallow_reply(after=b"EVALSHA")
        with pytest.raises(redis.asyncio.ConnectionError):
            await far.projector().step()
        assert redis_road.swallowed == 1
        assert await books.checkpoint() == 4  # it was done
        assert await far.projector().step() is False
    assert await books.found() == await books.expected()


@pytest.mark.proves("I6", "P13")
async def test_a_wiped_redis_is_folded_again_by_itself(
    analytics: Analytics, books: Books, house: House
) -> None:
    for pizza in ("margherita", "hawaiian", "margherita"):
        await house.place(pizza)
    await analytics.archived(9)
    before = await books.found()
    async with redis.asyncio.Redis.from_url(house.redis_url) as client:
        await client.flushdb()
    await analytics.archived(9)
    assert await books.found() == before == await books.expected()

    await house.place("hawaiian")
    await analytics.archived(12)
    assert await books.found() == await books.expected()
    assert await books.popular() == {"margherita": 2, "hawaiian": 2}


async def test_a_wipe_in_the_middle_of_a_step_loses_nothing(books: Books, house: House) -> None:
    await books.keep(*(captured(number) for number in range(10)))
    await books.count()
    await books.keep(captured(10))
    live = await books.live()
    assert live is not None
    async with redis.asyncio.Redis.from_url(house.redis_url) as client:
        await client.flushdb()
    # What the step that was under way sends now is refused: its checkpoint is gone, and so is what was live.
    for generation in (live, Generation(live.name)):
        assert not await books.projections.apply(generation, Checkpoint(11, "e-10"), Tally(), [], NOW)
    await books.count()
    assert await books.found() == await books.expected()


async def test_counts_of_another_archive_are_dropped(books: Books, house: House, tmp_path: Path) -> None:
    await books.keep(*(captured(number) for number in range(10)))
    await books.count()
    for number, content in enumerate(([], [captured(100)], [captured(n) for n in range(200, 220)])):
        other = f"sqlite:///{tmp_path / f'other-{number}.db'}"
        async with open_books(other, house.redis_url) as replaced:
            await replaced.keep(captured(99), *content)
            await replaced.count()
            assert await replaced.found() == await replaced.expected()


@pytest.mark.proves("P11")
async def test_hours_are_kept_for_eight_days(books: Books) -> None:
    await books.keep(*(captured(n, at=days_ago(n)) for n in range(DAYS_KEPT + 3)))
    await books.count()
    for ago in range(DAYS_KEPT + 3):
        counted = await read(books, day_table(days_ago(ago).date()))
        assert sum(counted.values()) == (100 if ago < DAYS_KEPT else 0)

    # A straggler of an old day is not kept either.
    await books.keep(captured(100, at=days_ago(DAYS_KEPT)))
    await books.count()
    assert await read(books, day_table(days_ago(DAYS_KEPT).date())) == {}
    # A day later the oldest counts no more: to a fold as to what is read.
    await books.count(timedelta(days=1))
    assert await books.found(timedelta(days=1)) == await books.expected(timedelta(days=1))
    assert await books.found(timedelta(days=1)) != await books.expected()


async def test_what_a_customer_ordered_is_kept_for_a_year(books: Books) -> None:
    await books.keep(confirmed(1, "hawaiian", at=days_ago(360)))
    await books.count()
    assert any(table == "customer:c-1" for table, _ in await books.found())
    ahead = timedelta(days=10)
    await books.keep(confirmed(2, "calzone"))
    await books.count(ahead)
    live = await books.live()
    assert live is not None
    fields = (await books.projections.customers(live.name, ["c-1"]))["c-1"]
    assert {name[:10] for name in fields} == {NOW.date().isoformat()}
    assert await books.found(ahead) == await books.expected(ahead)


async def test_every_key_runs_out_some_day(books: Books, house: House) -> None:
    await books.keep(*evening(3, 10))
    await books.count()
    async with redis.asyncio.Redis.from_url(house.redis_url) as client:
        ours = [key async for key in client.scan_iter("analytics:*")]
        assert len(ours) > 20
        assert not [key for key in ours if await client.pttl(key) <= 0]


async def test_an_unreadable_event_is_counted_shown_and_passed(books: Books) -> None:
    await books.keep(captured(1, amount="much"), captured(2))
    await books.count()
    assert await books.found() == await books.expected()
    assert await read(books, Table("totals")) == {"unreadable": 1}
    assert sum((await read(books, day_table(NOW.date()))).values()) == 100


async def test_equals_are_listed_by_id(books: Books) -> None:
    pizzas = ["pepperoni", "hawaiian", "margherita", "pepperoni", "calzone"]
    await books.keep(*(confirmed(number, pizza) for number, pizza in enumerate(pizzas)))
    await books.count()
    assert list((await books.popular()).items())[:3] == [("pepperoni", 2), ("calzone", 1), ("hawaiian", 1)]


async def test_how_far_the_counts_are_behind_is_a_metric(books: Books) -> None:
    registry = CollectorRegistry()
    lag = ProjectionLag(books.database, books.projections, registry)
    await books.keep(*(confirmed(number, "margherita") for number in range(3)))
    await lag()
    assert registry.get_sample_value("analytics_uncounted_events") == 3
    await books.count()
    await books.keep(confirmed(3, "margherita"))
    await lag()
    assert registry.get_sample_value("analytics_uncounted_events") == 1


async def test_the_service_tells_how_far_its_counts_are_behind(
    house: House, books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def stands_still(_: Projector) -> bool:
        return False

    monkeypatch.setattr("analytics_service.app.LAG_SECONDS", 0.05)
    monkeypatch.setattr(Projector, "step", stands_still)
    await books.keep(*(confirmed(number, "margherita") for number in range(3)))
    async with house.analytics() as analytics:

        async def told() -> bool:
            return "analytics_uncounted_events 3.0" in (await analytics.manager.get("/metrics")).text

        await eventually(told)
