"""What managers and guests read."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from analytics_service.tables import archive
from pizzeria_chassis.settings import Staff
from pizzeria_chassis.testing import caller
from pizzeria_chassis.transaction import Transaction
from pizzeria_contracts.events import (
    DeliveryCompleted,
    OrderCancelled,
    OrderReady,
    PaymentRefunded,
    TicketAccepted,
    TicketCompleted,
    TicketStarted,
)
from rediscore.testing import FaultProxy, eventually
from sqlalchemy import delete, update

from services.analytics.tests.harness import Analytics, Books, House

FOR_MANAGERS = [
    "GET /hourly", "GET /revenue", "GET /cancellations", "GET /timings", "GET /leaderboards/stations",
    "GET /as-of", "GET /journeys/o-1", "GET /live", "GET /segments", "GET /segments/new",
    "GET /segments/overlap", "POST /campaigns", "GET /campaigns", "GET /campaigns/c-1",
    "GET /campaigns/c-1/audience", "GET /projections", "GET /projections/check", "GET /projections/rebuilds",
    "GET /projections/rebuilds/r-1", "POST /projections/rebuild",
]  # fmt: skip


@pytest_asyncio.fixture
async def day(house: House, analytics: Analytics) -> AsyncIterator[str]:
    """Three orders happened: one delivered, one under way, one refunded; yields the day (the tests take a
    moment, so at midnight it is the day of the first)."""
    delivered = await house.place("margherita", 2, "25.98")
    await house.place("hawaiian", 1, "14.99")
    refunded = await house.place("hawaiian", 1, "0.01")
    await house.kitchen.tell(DeliveryCompleted(driver_id="d-1"), subject=delivered)
    await house.order.tell(
        PaymentRefunded(amount="0.01"), OrderCancelled(reason="customer", refunded="0.01"), subject=refunded
    )
    await analytics.archived(12)
    yield datetime.now(UTC).date().isoformat()


async def test_popular_is_open_and_bounded(analytics: Analytics, day: str) -> None:
    answer = await analytics.guest.get("/popular")
    assert answer.status_code == 200
    assert answer.json() == {
        "items": [{"pizza_id": "hawaiian", "count": 2}, {"pizza_id": "margherita", "count": 2}],
        "next": None,
    }
    assert len((await analytics.guest.get("/popular", params={"limit": 1})).json()["items"]) == 1


@pytest.mark.proves("P11")
async def test_hours_add_up(analytics: Analytics, day: str) -> None:
    answer = await analytics.get("/hourly", date=day)
    assert answer["date"] == day
    assert [item["hour"] for item in answer["items"]] == [f"{day}T{hour:02}:00:00Z" for hour in range(24)]

    def total(what: str) -> int:
        return sum(item[what] for item in answer["items"])

    assert (total("placed"), total("delivered"), total("cancelled")) == (3, 1, 1)
    busy = [item for item in answer["items"] if item["placed"]]
    assert all(item["revenue"]["currency"] == "EUR" for item in busy)


@pytest.mark.proves("P11", "I2")
async def test_revenue_is_captured_less_refunded(analytics: Analytics, day: str) -> None:
    answer = await analytics.get("/revenue", **{"from": day, "to": day})
    assert answer["captured"] == {"amount": "40.98", "currency": "EUR"}
    assert answer["refunded"] == {"amount": "0.01", "currency": "EUR"}
    assert answer["revenue"] == {"amount": "40.97", "currency": "EUR"}
    assert answer["items"] == [
        {"date": day, **{key: answer[key] for key in ("captured", "refunded", "revenue")}}
    ]
    week = await analytics.get("/revenue")
    assert len(week["items"]) == 8
    assert week["revenue"] == answer["revenue"]


async def test_a_day_on_which_more_went_back_than_came_in(house: House, analytics: Analytics) -> None:
    await house.order.tell(PaymentRefunded(amount="5.00"), subject="o-1")
    await analytics.archived(1)
    assert (await analytics.get("/revenue"))["revenue"]["amount"] == "-5.00"


@pytest.mark.proves("P11")
async def test_why_orders_were_cancelled(house: House, analytics: Analytics) -> None:
    for number, reason in enumerate(["customer", "kitchen-timeout", "customer"]):
        await house.order.tell(OrderCancelled(reason=reason, refunded="0.00"), subject=f"o-{number}")
    await analytics.archived(3)
    assert await analytics.get("/cancellations") == {
        "total": 3,
        "items": [{"reason": "customer", "count": 2}, {"reason": "kitchen-timeout", "count": 1}],
        "next": None,
    }


@pytest.mark.proves("P11")
async def test_how_long_things_took(house: House, analytics: Analytics) -> None:
    for number, seconds in enumerate([10, 20, 30, 400]):
        order_id = await house.place("hawaiian" if number else "calzone")
        ticket = {"ticket_id": f"t-{number}", "station_id": "oven-1"}
        await house.kitchen.tell(
            TicketAccepted(tickets=("t-1",), estimated_ready_at=datetime.now(UTC)),
            TicketStarted(**ticket),
            TicketCompleted(**ticket, seconds=seconds),
            OrderReady(),
            DeliveryCompleted(driver_id="d-1"),
            subject=order_id,
        )
    await analytics.archived(32)
    answer = await analytics.get("/timings")
    error = answer["relative_error"]
    assert error == 0.03125
    timings = {item["timing"]: item for item in answer["items"]}
    assert {name: timing["count"] for name, timing in timings.items()} == {
        "waiting": 4, "preparation": 4, "ready-to-delivered": 4, "order-to-delivered": 4,
    }  # fmt: skip
    prepared = timings["preparation"]
    for percentile, seconds in {"p50": 20, "p90": 400, "p99": 400}.items():
        assert prepared[percentile] == pytest.approx(seconds, rel=error)
    assert [(of["pizza_id"], of["count"]) for of in prepared["by_pizza"]] == [("calzone", 1), ("hawaiian", 3)]
    assert [(of["priority"], of["count"]) for of in prepared["by_priority"]] == [("standard", 4)]
    assert sum(of["count"] for of in prepared["by_hour"]) == 4
    assert 0 <= timings["order-to-delivered"]["p50"] < 20


async def test_nothing_measured_is_not_zero_seconds(analytics: Analytics) -> None:
    await analytics.archived(0)
    assert [(item["count"], item["p50"]) for item in (await analytics.get("/timings"))["items"]] == [
        (0, None)
    ] * 4


@pytest.mark.proves("P11")
async def test_who_is_ahead(house: House, analytics: Analytics, day: str) -> None:
    order_id = await house.place("hawaiian", 1, "20.00")
    for ticket, (station, seconds) in enumerate(
        [("oven-1", 50), ("oven-2", 30), ("oven-1", 40), ("oven-1", 60)]
    ):
        completed = TicketCompleted(ticket_id=f"t-{ticket}", station_id=station, seconds=seconds)
        await house.kitchen.tell(completed, subject=order_id)
    await analytics.archived(19)

    async def board(name: str, **params: str) -> list[tuple[str, Any]]:
        answer = await analytics.get(f"/leaderboards/{name}", **params)
        assert [item["rank"] for item in answer["items"]] == list(range(1, len(answer["items"]) + 1))
        return [(item["id"], item["score"]) for item in answer["items"]]

    for params in ({}, {"window": "day"}, {"window": "week", "date": day}):
        assert await board("stations", **params) == [("oven-1", 3), ("oven-2", 1)]
        assert await board("stations-speed", **params) == [("oven-2", 30.0), ("oven-1", 50.0)]
        assert await board("customers-orders", **params) == [("c-1", 3)]  # one of four was cancelled
        assert await board("customers-money", **params) == [("c-1", {"amount": "60.97", "currency": "EUR"})]
        assert await board("pizzas", **params) == [("hawaiian", 3), ("margherita", 2)]
    yesterday = other_day(-1)
    assert await board("pizzas", window="day", date=yesterday) == []
    assert (await analytics.get("/leaderboards/pizzas", window="day"))["since"] == day


@pytest.mark.proves("I6")
async def test_a_check_from_outside_sees_that_all_adds_up(
    house: House, analytics: Analytics, books: Books, day: str
) -> None:
    report = await analytics.get("/projections/check")
    assert (report["consistent"], report["differences"], report["checkpoint"]) == (True, 0, 12)
    assert report["streams"]["orders.events"] == {
        "feed_head": 11, "archived": 11, "missing": [], "strangers": [],
    }  # fmt: skip

    async def damage(tx: Transaction) -> None:
        at = (archive.c.stream == "orders.events") & (archive.c.position == 4)
        await tx.connection.execute(delete(archive).where(at))
        at = (archive.c.stream == "orders.events") & (archive.c.position == 7)
        await tx.connection.execute(update(archive).where(at).values(event_id="somebody-else"))

    await books.database.transact(damage)
    report = await analytics.get("/projections/check")
    assert not report["consistent"]
    assert report["streams"]["orders.events"] == {
        "feed_head": 11, "archived": 10, "missing": [4], "strangers": [7],
    }  # fmt: skip
    assert report["differences"] > 0


async def test_a_check_without_a_feed_says_that_it_cannot_tell(house: House) -> None:
    async with house.analytics(menu_url="http://127.0.0.1:1") as analytics:
        await analytics.archived(0)
        answer = await analytics.manager.get("/projections/check")
        assert (answer.status_code, answer.json()["type"]) == (503, "/problems/unavailable")


@pytest.mark.proves("P6")
async def test_the_journey_of_an_order(house: House, analytics: Analytics) -> None:
    order_id = await house.place("margherita")
    await house.place("hawaiian")
    await house.kitchen.tell(DeliveryCompleted(driver_id="d-1"), subject=order_id)
    await analytics.archived(7)
    journey = await analytics.get(f"/journeys/{order_id}")
    assert journey["order_id"] == order_id
    assert [(step["type"], step["stream"]) for step in journey["items"]] == [
        ("pizzeria.order.placed.v1", "orders.events"),
        ("pizzeria.payment.captured.v1", "orders.events"),
        ("pizzeria.order.confirmed.v1", "orders.events"),
        ("pizzeria.delivery.completed.v1", "kitchen.events"),
    ]
    times = [step["time"] for step in journey["items"]]
    assert times == sorted(times)


async def test_a_journey_that_nobody_made(analytics: Analytics) -> None:
    answer = await analytics.manager.get("/journeys/o-404")
    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/not-found")


@pytest.mark.proves("P15")
async def test_only_managers_look(analytics: Analytics) -> None:
    roles: tuple[Staff, ...] = ("cook", "driver", "service")
    for call in FOR_MANAGERS:
        method, path = call.split()
        assert (await analytics.guest.request(method, path)).status_code == 401, call
        for role in roles:
            async with caller(analytics.app, role) as somebody:
                assert (await somebody.request(method, path)).status_code == 403, call


def other_day(days: int) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).date().isoformat()


BAD: tuple[tuple[str, dict[str, str], str], ...] = (
    ("/hourly", {"date": "yesterday"}, "date"),
    ("/hourly", {"date": other_day(-9)}, "date"),
    ("/hourly", {"date": other_day(2)}, "date"),
    ("/revenue", {"from": other_day(-9)}, "from"),
    ("/revenue", {"from": other_day(0), "to": other_day(-1)}, "to"),
    ("/cancellations", {"to": other_day(1)}, "to"),
    ("/timings", {"from": other_day(-9)}, "from"),
    ("/leaderboards/pizzas", {"date": other_day(-9)}, "date"),
    ("/leaderboards/pizzas", {"window": "year"}, "window"),
    ("/leaderboards/pizzas", {"limit": "101"}, "limit"),
    ("/leaderboards/waiters", {}, "name"),
    ("/popular", {"limit": "0"}, "limit"),
    ("/popular", {"limit": "101"}, "limit"),
)


async def test_bad_input_is_refused_by_name(analytics: Analytics) -> None:
    for path, params, parameter in BAD:
        answer = await analytics.manager.get(path, params=params)
        assert answer.status_code == 422, (path, params)
        assert [error["parameter"] for error in answer.json()["errors"]] == [parameter]


async def test_without_redis_it_is_not_ready_and_archives_on(house: House, redis_road: FaultProxy) -> None:
    async with house.analytics(redis=_through(redis_road, house)) as analytics:
        order_id = await house.place("margherita")
        await analytics.archived(3)
        redis_road.cut()
        ready = await analytics.guest.get("/health/ready")
        assert (ready.status_code, ready.json()["checks"]["redis"]["status"]) == (503, "down")
        popular = await analytics.guest.get("/popular")
        assert (popular.status_code, popular.headers["retry-after"]) == (503, "2")
        assert popular.json()["type"] == "/problems/unavailable"

        async def spared() -> bool:
            assert (await analytics.guest.get("/popular")).status_code == 503
            shown = (await analytics.manager.get("/metrics")).text
            return 'rediscore_breaker_events_total{event="rejected",name="redis"}' in shown

        await eventually(spared, within=40, what="the breaker answers in place of Redis")
        assert len((await analytics.get(f"/journeys/{order_id}"))["items"]) == 3

        redis_road.restore()

        async def well_again() -> bool:
            return (await analytics.guest.get("/health/ready")).status_code == 200

        await eventually(well_again, within=40, what="ready again")


def _through(road: FaultProxy, house: House) -> Any:
    from rediscore.settings import RedisSettings

    return RedisSettings.from_url(road.url(house.redis_url))
