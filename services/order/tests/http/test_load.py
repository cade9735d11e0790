"""Admission: a bounded number of open orders, an estimate that grows with them, a wait that is computed."""

import asyncio
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from order_service.adapters.kitchen_client import KitchenClient
from order_service.adapters.kitchen_load import SqlKitchenLoad
from pizzeria_chassis.database import Database
from pizzeria_contracts.events import OrderReady
from rediscore.testing import FaultProxy, eventually

from services.order.tests.harness import ON_BOTH_DATABASES, Guest, House


def later(hours: float) -> str:
    return (datetime.now(UTC) + timedelta(hours=hours)).isoformat()


def promised(order: dict[str, Any]) -> timedelta:
    return datetime.fromisoformat(order["estimated_ready_at"]) - datetime.fromisoformat(order["created_at"])


async def _placed(guest: Guest) -> str:
    """The id of an order, empty when there was no room for it."""
    answer = await guest.order()
    return str(answer.json()["id"]) if answer.status_code == 201 else ""


@ON_BOTH_DATABASES
@pytest.mark.proves("P3", "P17")
async def test_above_the_bound_it_says_when_to_come_again(house: House) -> None:
    house.kitchen.cooking_seconds = 30
    guest = await house.guest(await house.open(max_open_orders=10))
    # Nine are the room of standard orders; two pizzas each, eight places.
    # A count in the middle of an order may have it twice, for a quarter of a second.
    first, *_ = [await eventually(partial(_placed, guest), every=0.3) for _ in range(9)]
    refused = await guest.order()
    assert refused.status_code == 429
    assert refused.json()["type"] == "/problems/kitchen-full"
    assert refused.headers["retry-after"] == "30"  # one order has to be cooked: a round
    assert '"kitchen";q=9;w=90' in refused.headers["ratelimit-policy"]  # eighteen pizzas are three rounds
    assert '"kitchen";r=0;t=90' in refused.headers["ratelimit"]
    assert '"orders";r=' in refused.headers["ratelimit"]  # and what is left of the guest's own limit
    assert house.rows("SELECT count(*) FROM orders") == [(9,)]

    # The last tenth is for express orders; what is for later is not held back.
    assert (await guest.order(priority="express")).status_code == 201
    assert (await guest.order(priority="express")).status_code == 429
    assert (await guest.order(scheduled_for=later(3))).status_code == 201

    # One is cooked: there is room again.
    await guest.until_status(first, "confirmed")
    await house.kitchen.tell(first, OrderReady())
    await guest.until_status(first, "ready")

    async def room_again() -> bool:  # the count is a quarter of a second old at most
        return (await guest.order(priority="express")).status_code == 201

    await eventually(room_again, every=0.5)


@pytest.mark.proves("P3", "P17")
async def test_the_estimate_grows_with_what_is_open(house: House) -> None:
    house.kitchen.cooking_seconds = 60
    guest = await house.guest(await house.open())
    promises = [promised((await guest.order()).json()) for _ in range(9)]
    minutes = [round(promise.total_seconds() / 60) for promise in promises]
    assert minutes == [1, 1, 1, 1, 2, 2, 2, 2, 3]  # two pizzas each, eight places
    express = (await guest.order(priority="express")).json()
    assert round(promised(express).total_seconds() / 60) == 1  # only express orders are before it


@pytest.mark.proves("P3")
async def test_what_was_added_since_the_last_count_is_before_an_express_order_only_if_it_is_express(
    house: House,
) -> None:
    await house.open()  # makes the tables
    database = Database(house.database_url, source="/pizzeria/order")
    load = SqlKitchenLoad(database, KitchenClient(house.kitchen_url, None))
    with load.adding(5, "standard"), load.adding(3, "express"):
        backlog = await load.backlog()
        assert (backlog.ahead_of("standard"), backlog.ahead_of("express")) == (8, 3)
    await database.aclose()


@pytest.mark.proves("P3", "P17")
async def test_the_bound_holds_without_redis_at_two_replicas_and_for_many_at_once(
    house: House, fault_proxy: FaultProxy
) -> None:
    house.redis = house.redis.model_copy(update={"host": "127.0.0.1", "port": fault_proxy.port})
    first = await house.guest(await house.open(max_open_orders=20))
    second = Guest.of(await house.open(max_open_orders=20), first)
    await first.http.get("/menu")
    fault_proxy.cut()
    answers = await asyncio.gather(*(first.order() for _ in range(40)))
    codes = [answer.status_code for answer in answers]
    assert set(codes) == {201, 429}
    placed = codes.count(201)
    await asyncio.sleep(0.3)
    # A count in the middle of a slow rush may have some of its orders twice: then a few more fit in.
    while placed < 18 and (await second.order()).status_code == 201:
        placed += 1
        await asyncio.sleep(0.3)
    assert placed == 18
    assert (await second.order()).status_code == 429
    assert all("retry-after" in answer.headers for answer in answers if answer.status_code == 429)


@pytest.mark.proves("P3")
async def test_a_repeat_gets_its_answer_also_when_the_kitchen_is_full(house: House) -> None:
    guest = await house.guest(await house.open(max_open_orders=1))
    first = await guest.order(key="k")
    assert (await guest.order()).status_code == 429
    again = await guest.order(key="k")
    assert again.status_code == 201
    assert again.content == first.content


@pytest.mark.proves("P3")
async def test_around_one_time_only_so_many_are_taken(house: House) -> None:
    guest = await house.guest(await house.open(max_open_orders=2))
    when = datetime.now(UTC) + timedelta(hours=5)
    for minutes in (0, 20):
        placed = await guest.order(scheduled_for=(when + timedelta(minutes=minutes)).isoformat())
        assert placed.status_code == 201
    refused = await guest.order(scheduled_for=(when + timedelta(minutes=10)).isoformat())
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] == "/scheduled_for"
    assert (await guest.order(scheduled_for=later(8))).status_code == 201


@pytest.mark.proves("P3")
async def test_a_kitchen_that_does_not_tell_its_pace_holds_nobody_up(house: House) -> None:
    house.kitchen.cooking_seconds = None
    guest = await house.guest(await house.open())
    assert promised((await guest.order()).json()) >= timedelta(minutes=7)
