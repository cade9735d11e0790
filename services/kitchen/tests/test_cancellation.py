"""Cancelling: decided once, whatever happens at the same moment."""

import asyncio
from functools import partial

import pytest
from pizzeria_contracts.events import CancellationRequested, OrderCancelled
from rediscore.testing import eventually

from services.kitchen.tests.conftest import Make
from services.kitchen.tests.harness import Hands, Kitchens, confirmed, insist, item

ASKED = CancellationRequested(reason="changed my mind")
GONE = OrderCancelled.model_validate({"reason": "deadline", "refunded": "10.00"})


@pytest.mark.proves("I4")
async def test_a_cancellation_is_accepted_before_the_first_pizza_is_started(
    kitchens: Kitchens, hands: Hands
) -> None:
    order_id = await kitchens.order(item(quantity=3))
    await kitchens.hears(order_id, "kitchen.ticket_accepted")
    await kitchens.orders.tell(ASKED, order_id)
    await kitchens.hears(order_id, "kitchen.cancellation_accepted")
    await kitchens.orders.tell(GONE, order_id)
    assert (await hands.claim(wait=0.5)).status_code == 204
    assert all(stock["reserved"] == 0 for stock in (await hands.check_stock()).values())
    assert (await hands.client.get("/queue")).json()["items"] == []


async def test_a_cancellation_is_refused_once_a_pizza_is_started_and_cooking_goes_on(
    kitchens: Kitchens, hands: Hands
) -> None:
    order_id = await kitchens.order(item(quantity=2))
    ticket = await hands.take()
    await kitchens.orders.tell(ASKED, order_id)
    await kitchens.hears(order_id, "kitchen.cancellation_refused")
    await hands.complete(ticket)
    await hands.complete(await hands.take())
    await kitchens.hears(order_id, "kitchen.order_ready")


@pytest.mark.proves("I4")
async def test_claim_and_cancellation_at_the_same_moment_are_decided_once(
    make_kitchens: Make, database_url: str
) -> None:
    kitchens: Kitchens = await make_kitchens(database_url=database_url, settings={"lease_seconds": 60})
    replicas = [Hands(await kitchens.open()), Hands(await kitchens.open())]
    orders = 40
    done = asyncio.Event()

    async def cook(number: int) -> None:
        hands = replicas[number % 2]
        while not done.is_set():
            answer = await hands.claim(("oven-1", "oven-2", "oven-3", "grill-1")[number], wait=0.2)
            if answer.status_code == 200:
                await asyncio.sleep(0.01)
                done_it = await insist(partial(hands.complete, answer.json()))
                assert done_it.status_code == 200

    async def order_and_change_my_mind(number: int) -> str:
        order_id = await kitchens.order(item(quantity=1 + number % 2), order_id=f"order-{number}")
        if number % 5 == 4:
            # Too late for sure: on a busy machine the others may all be in time.
            await kitchens.hears(order_id, "kitchen.ticket_started", within=30)
        else:
            await asyncio.sleep(0.02 * (number % 5))
        await kitchens.orders.tell(ASKED, order_id)
        return order_id

    async with asyncio.TaskGroup() as group:
        for number in range(4):
            group.create_task(cook(number))
        for first in range(0, orders, 10):
            async with asyncio.TaskGroup() as guests:
                for number in range(first, first + 10):
                    guests.create_task(order_and_change_my_mind(number))
        accepted = refused = 0
        for number in range(orders):
            told = [word.removeprefix("kitchen.") for word in await _decided(kitchens, f"order-{number}")]
            if "cancellation_accepted" in told:
                accepted += 1
                assert told == ["ticket_accepted", "cancellation_accepted"]
            else:
                refused += 1
                assert told.count("cancellation_refused") == 1
                assert "ticket_started" in told[: told.index("cancellation_refused")]
                await kitchens.hears(f"order-{number}", "kitchen.order_ready")
        done.set()
    # Without both there was no race, and nothing would be proven.
    assert (accepted > 0, refused > 0) == (True, True), (accepted, refused)
    stocks = await replicas[0].check_stock()
    assert all(stock["reserved"] == 0 for stock in stocks.values())


async def _decided(kitchens: Kitchens, order_id: str) -> list[str]:
    for _ in range(1000):
        told = await kitchens.told(order_id)
        if {"kitchen.cancellation_accepted", "kitchen.cancellation_refused"} & set(told):
            return told
        await asyncio.sleep(0.05)
    raise AssertionError(f"{order_id} was never decided: {await kitchens.told(order_id)}")


@pytest.mark.proves("I4")
async def test_an_order_that_the_order_service_cancelled_stops_where_it_still_can(
    make_kitchens: Make,
) -> None:
    kitchens: Kitchens = await make_kitchens(settings={"lease_seconds": 4})
    hands = Hands(await kitchens.open())
    order_id = await kitchens.order(item(quantity=3))
    working, dead = await hands.take("oven-1"), await hands.take("oven-2")
    await kitchens.orders.tell(GONE, order_id)

    async def nothing_waits() -> bool:
        return len((await hands.client.get("/queue")).json()["items"]) == 0

    await eventually(nothing_waits)
    assert (await hands.complete(working)).status_code == 200
    # The dead station's pizza is not cooked again for an order that is gone; its ingredients come back.
    assert (await hands.claim("oven-3", wait=6)).status_code == 204

    async def nothing_reserved() -> bool:
        dough = (await hands.check_stock())["dough"]
        return (dough["reserved"], dough["consumed"]) == (0, 2)

    await eventually(nothing_reserved, within=40)
    assert (await hands.complete(dead)).status_code == 409
    assert "kitchen.order_ready" not in await kitchens.told(order_id)
    assert (await hands.client.post(f"/deliveries/{order_id}/start")).status_code == 409


async def test_a_paid_order_that_comes_after_its_cancellation_is_not_cooked(
    kitchens: Kitchens, hands: Hands
) -> None:
    await kitchens.orders.tell(GONE, "early")
    await kitchens.orders.tell(ASKED, "asked")
    await kitchens.hears("asked", "kitchen.cancellation_accepted")
    for order_id in ("early", "asked"):
        await kitchens.orders.tell(confirmed(), order_id)
    await kitchens.hears(await kitchens.order(order_id="marker"), "kitchen.ticket_accepted")
    assert [t["order_id"] for t in (await hands.client.get("/queue")).json()["items"]] == ["marker"]
