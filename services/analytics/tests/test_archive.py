"""The archive: every event of every stream, once."""

import asyncio
from random import Random

import pytest
import redis.asyncio
from analytics_service import archive
from pizzeria_chassis.database import Database
from pizzeria_chassis.migrations import migrate
from pizzeria_chassis.transaction import Transaction
from pizzeria_contracts.events import DeliveryCompleted, MenuItemRestored, StockLow
from rediscore.streams import StreamPublisher
from rediscore.testing import eventually

from services.analytics.tests.harness import Analytics, House, captured, ids, open_books


async def positions(analytics: Analytics) -> bool:
    inbox = (await analytics.service.get("/events/positions")).json()["inbox"]
    found = {stream: place["position"] for stream, place in inbox.items()}
    return bool(found == {"orders.events": 3, "kitchen.events": 2, "menu.events": 1})


@pytest.mark.proves("I6")
async def test_the_archive_holds_every_event_of_all_three_feeds(any_house: House) -> None:
    house = any_house
    order_id = await house.place("margherita")
    async with house.analytics() as analytics, open_books(house.database_url, house.redis_url) as books:
        told = await house.kitchen.tell(DeliveryCompleted(driver_id="d-1"), subject=order_id)
        told += await house.kitchen.tell(StockLow(ingredient="ham"), subject="ham")
        told += await house.menu.tell(MenuItemRestored(version=2), subject="hawaiian")
        await analytics.archived(6)

        events = await books.events()
        assert len(events) == 6
        assert set(ids(told)) < set(ids(events))
        await eventually(lambda: positions(analytics), what="all positions are noted")
        assert {event.position for event in events if event.source == "/pizzeria/order"} == {1, 2, 3}


@pytest.mark.proves("I9")
async def test_an_event_delivered_twice_is_archived_once(any_house: House) -> None:
    house = any_house
    async with house.analytics() as analytics, open_books(house.database_url, house.redis_url) as books:
        await house.place("margherita")
        await analytics.archived(3)
        publisher = StreamPublisher(books.connections)
        again = await books.events()
        await publisher.publish("orders.events", again + again)
        await house.place("hawaiian")
        await analytics.archived(6)
        assert len(ids(await books.events())) == len(set(ids(await books.events()))) == 6
        assert (await analytics.get("/popular"))["items"] == [
            {"pizza_id": "hawaiian", "count": 1},
            {"pizza_id": "margherita", "count": 1},
        ]


async def test_the_archive_itself_knows_what_it_has(database_url: str) -> None:
    database = Database(database_url, source="/test")
    await migrate(database, "analytics_service")

    async def work(tx: Transaction) -> None:
        await archive.append(tx, "orders.events", [captured(1), captured(2)])

    async def fail(tx: Transaction) -> None:
        await archive.append(tx, "orders.events", [captured(3)])
        raise RuntimeError

    async def more(tx: Transaction) -> None:
        await archive.append(tx, "orders.events", [captured(2), captured(4), captured(4)])

    await database.transact(work)
    await database.transact(work)
    with pytest.raises(RuntimeError):
        await database.transact(fail)
    await database.transact(more)
    async with database.read() as connection:
        rows = await archive.since(connection, 0, limit=10)
    # Neither a repeat nor a rollback leaves a gap: the newest number is how many there are.
    assert [(row.seq, row.event.id) for row in rows] == [(1, "e-1"), (2, "e-2"), (3, "e-4")]
    await database.aclose()


@pytest.mark.proves("I6")
async def test_what_a_wiped_redis_lost_comes_from_the_feeds(house: House) -> None:
    await house.place("margherita")
    async with redis.asyncio.Redis.from_url(house.redis_url) as client:

        async def on_the_stream() -> bool:
            return bool(await client.xlen("orders.events") == 3)

        await eventually(on_the_stream, what="the order is on the stream")
        await client.flushdb()
        async with house.analytics() as analytics:
            await analytics.archived(3)


async def test_nothing_appears_behind_a_reader_of_the_archive(database_url: str) -> None:
    """A reader that has come to seq n must never miss an event with a smaller one that commits later."""
    database = Database(database_url, source="/test")
    await migrate(database, "analytics_service")
    random = Random(7)
    done = asyncio.Event()

    async def write(number: int) -> None:
        async def work(tx: Transaction) -> None:
            await archive.append(tx, "orders.events", [captured(number)])
            await asyncio.sleep(pause)  # what would let a later seq commit first

        pause = random.uniform(0, 0.02)
        await database.transact(work)

    async def read() -> list[str]:
        seen: list[str] = []
        at = 0
        while True:
            finished = done.is_set()
            async with database.read() as connection:
                rows = await archive.since(connection, at + 1, limit=1000)
            seen += [row.event.id for row in rows]
            at = rows[-1].seq if rows else at
            if finished and not rows:
                return seen
            await asyncio.sleep(0)

    reader = asyncio.create_task(read())
    await asyncio.gather(*(write(number) for number in range(60)))
    done.set()
    assert sorted(await reader) == sorted(f"e-{number}" for number in range(60))
    await database.aclose()
