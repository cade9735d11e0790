"""How things stood at a past moment."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from analytics_service import tables
from analytics_service.as_of import STATES, Standing
from analytics_service.snapshots import Snapshots, TooFarFromASnapshot
from hypothesis import given, settings
from hypothesis import strategies as st
from rediscore.streams import RawEvent
from sqlalchemy import func, select

from services.analytics.tests.evening import evening
from services.analytics.tests.harness import Analytics, Books, House, open_books

pytestmark = pytest.mark.proves("P13")

NOW = datetime.now(UTC)
KINDS = {
    "placed": "pending", "confirmed": "confirmed", "ticket_started": "cooking", "order_ready": "ready",
    "started": "delivering", "completed": "delivered", "cancelled": "cancelled",
}  # fmt: skip


def stood(events: list[RawEvent], moment: datetime) -> dict[str, Any]:
    """The same in other words: what the events up to a moment say."""
    past = [event for event in events if event.time <= moment]

    def of(kind: str) -> list[RawEvent]:
        return [event for event in past if event.type == f"pizzeria.{kind}.v1"]

    last: dict[str, str] = {}
    for event in past:  # in the order of their times
        name = event.type.split(".")[2]
        if name in KINDS and not event.type.startswith("pizzeria.kitchen.ticket_completed"):
            last[event.subject] = KINDS[name]
    pizzas: Counter[str] = Counter()
    for event in of("order.confirmed"):
        pizzas.update({item["pizza_id"]: 0 for item in event.data["items"]})
        for item in event.data["items"]:
            pizzas[item["pizza_id"]] += item["quantity"]
    return {
        "pizzas": dict(pizzas),
        "captured": sum(round(float(event.data["amount"]) * 100) for event in of("payment.captured")),
        "refunded": sum(round(float(event.data["amount"]) * 100) for event in of("payment.refunded")),
        "orders": {state: Counter(last.values())[state] for state in STATES},
    }


def told(standing: Standing) -> dict[str, Any]:
    return {
        "pizzas": dict(standing.pizzas),
        "captured": standing.captured,
        "refunded": standing.refunded,
        "orders": standing.orders,
    }


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32), cut=st.floats(0, 1))
def test_a_standing_can_be_written_down_anywhere_on_the_way(seed: int, cut: float) -> None:
    events = evening(seed, 8, now=NOW, days=2)
    at = int(cut * (len(events) - 1))
    standing = Standing()
    for event in Random(seed).sample(events[:at], at):
        standing.add(event)
    if at:
        standing.forget_ended(events[at - 1].time)
    standing = Standing.from_json(standing.to_json())
    for event in events[at:]:
        standing.add(event)
    assert told(standing) == stood(events, NOW)


async def snapshots_of(books: Books) -> int:
    async with books.database.read() as connection:
        counted = await connection.execute(select(func.count()).select_from(tables.snapshots))
        return counted.scalar_one()


async def test_every_moment_is_exact_with_snapshots_and_late_events(any_house: House) -> None:
    """Also when events are archived that should have been in a snapshot."""
    random = Random(4)
    events = evening(4, 40, now=NOW, days=5)
    late = random.sample(events, 30)
    async with open_books(any_house.database_url, any_house.redis_url) as books:
        snapshots = Snapshots(books.database, every=50, most=120)
        await books.keep(*(event for event in events if event not in late))
        made = 0
        while await snapshots.step():
            made += 1
        assert made == await snapshots_of(books) > 3
        moments = [event.time for event in random.sample(events, 5)]
        on_time = [event for event in events if event not in late]
        for moment in [*moments, NOW, on_time[0].time - timedelta(seconds=1)]:
            assert told(await snapshots.standing(moment)) == stood(on_time, moment)

        for event in sorted(late, key=lambda one: one.time, reverse=True):
            before = await snapshots_of(books)
            await books.keep(event)
            async with books.database.read() as connection:
                stale = select(func.count()).where(tables.snapshots.c.until >= event.time)
                assert (await connection.execute(stale)).scalar_one() == 0
            assert await snapshots_of(books) <= before
        while await snapshots.step():
            pass
        for moment in [*moments, NOW]:
            assert told(await snapshots.standing(moment)) == stood(events, moment)


async def test_known_events_that_come_again_cost_no_snapshot(books: Books) -> None:
    events = evening(5, 20, now=NOW, days=5)
    await books.keep(*events)
    snapshots = Snapshots(books.database, every=50)
    while await snapshots.step():
        pass
    made = await snapshots_of(books)
    await books.keep(*events)
    assert await snapshots_of(books) == made > 0


async def test_an_event_that_comes_while_a_snapshot_is_made_is_not_missing_in_it(books: Books) -> None:
    events = evening(6, 20, now=NOW, days=5)
    late = events.pop(3)
    await books.keep(*events)
    snapshots = Snapshots(books.database, every=50)
    write = snapshots._write

    async def late_by_then(*arguments: Any) -> bool:
        await books.keep(late)
        return await write(*arguments)

    snapshots._write = late_by_then  # type: ignore[assignment,method-assign]
    await snapshots.step()
    assert await snapshots_of(books) == 0


async def test_one_answer_folds_so_much_and_no_more(books: Books) -> None:
    await books.keep(*evening(7, 20, now=NOW, days=5))
    with pytest.raises(TooFarFromASnapshot):
        await Snapshots(books.database, most=100).standing(NOW)


async def test_snapshots_are_of_settled_moments_only(books: Books) -> None:
    await books.keep(*evening(8, 20, now=NOW + timedelta(days=1, hours=4), days=0.3))
    assert not await Snapshots(books.database, every=50).step()


async def test_a_manager_looks_back(house: House, analytics: Analytics) -> None:
    await house.place("margherita", 2, "25.98")
    await analytics.archived(3)
    between = datetime.now(UTC)
    await house.place("hawaiian", 1, "14.99")
    await analytics.archived(6)
    then = await analytics.get("/as-of", time=between.isoformat().replace("+00:00", "Z"))
    assert then["popular"] == [{"pizza_id": "margherita", "count": 2}]
    assert then["revenue"] == {"amount": "25.98", "currency": "EUR"}
    assert then["orders"] == {state: int(state == "confirmed") for state in STATES}
    now = await analytics.get("/as-of", time=datetime.now(UTC).isoformat().replace("+00:00", "Z"))
    assert now["orders"]["confirmed"] == 2
    for wrong in (
        "tomorrow",
        "0001-01-01T00:00:00+14:00",
        "1969-12-31T23:59:59Z",
        "2026-11-28T12:00:00",
        (NOW + timedelta(days=1)).isoformat()[:19] + "Z",
    ):
        answer = await analytics.manager.get("/as-of", params={"time": wrong})
        assert (answer.status_code, answer.json()["errors"][0]["parameter"]) == (422, "time")
