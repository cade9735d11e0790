"""The way of an order, and the ways in which it may end otherwise."""

import asyncio
from uuid import uuid4

import pytest

from tests.e2e import cases
from tests.e2e.harness import Pizzeria
from tests.e2e.harness_invariants import amount
from tests.e2e.harness_people import pizzas

pytestmark = pytest.mark.xdist_group("e2e-full")


@pytest.mark.proves("P4", "P5", "P6", "P10", "P11", "I1", "I2", "I4", "I5", "I6", "I7")
async def test_an_order_is_delivered(pizzeria: Pizzeria) -> None:
    await cases.an_order_is_delivered(pizzeria)


@pytest.mark.proves("P6")
async def test_the_journey_tells_every_step_in_order_and_by_one_trace(pizzeria: Pizzeria) -> None:
    guest = await pizzeria.guest()
    order = await guest.place()
    await pizzeria.cook().cook(order["id"])
    await pizzeria.driver().deliver(order["id"])
    answer = await pizzeria.call("order", "GET", f"/orders/{order['id']}/journey", token=guest.token)
    steps = answer.json()["items"]
    kinds = [step["type"].removeprefix("pizzeria.").removesuffix(".v1") for step in steps]
    wanted = [
        "order.placed",
        "payment.captured",
        "order.confirmed",
        "kitchen.ticket_accepted",
        "kitchen.ticket_started",
        "kitchen.ticket_completed",
        "kitchen.order_ready",
        "delivery.started",
        "delivery.completed",
    ]
    assert [kind for kind in kinds if kind in wanted] == wanted
    assert [step["time"] for step in steps] == sorted(step["time"] for step in steps)
    # One trace from the guest's request to the kitchen's answer.
    accepted = kinds.index("kitchen.ticket_accepted")
    assert steps[0]["trace_id"]
    assert len({step["trace_id"] for step in steps[: accepted + 1]}) == 1


@pytest.mark.proves("P4", "I1", "I2")
async def test_a_declined_card_ends_the_order_and_costs_nothing(pizzeria: Pizzeria) -> None:
    guest = await pizzeria.guest()
    order = await guest.place(pay="tok_declined")
    ended = await pizzeria.reaches(order["id"], "cancelled")
    assert ended["payment"]["status"] == "declined"
    assert amount(ended["payment"]["captured"]) == 0
    await pizzeria.check_invariants()
    assert await pizzeria.events(order["id"]) == ["order.placed", "payment.declined", "order.cancelled"]
    assert await pizzeria.events(order["id"], "kitchen.events") == []


@pytest.mark.proves("P4", "I2")
async def test_a_payment_without_an_answer_is_asked_for_and_not_made_twice(pizzeria: Pizzeria) -> None:
    guest = await pizzeria.guest()
    order = await guest.place(pay="tok_timeout")
    await pizzeria.reaches(order["id"], "confirmed")
    journey = (await pizzeria.read("order", f"/orders/{order['id']}/journey"))["items"]
    assert "payment.no_answer" in [step["type"] for step in journey], "the charge did not time out"
    await pizzeria.cook().cook(order["id"])
    assert (await pizzeria.events(order["id"])).count("payment.captured") == 1
    delivered = await pizzeria.driver().deliver(order["id"])
    assert delivered["payment"]["captured"] == order["total"]
    await pizzeria.check_invariants()


@pytest.mark.proves("P4", "P7", "I2", "I4")
async def test_what_is_out_of_stock_is_refunded(pizzeria: Pizzeria) -> None:
    guest = await pizzeria.guest()
    stock = {item["ingredient"]: item for item in (await pizzeria.read("kitchen", "/inventory"))["items"]}
    order = await guest.place(pizzas("hawaiian", quantity=30, size="large"))
    ended = await pizzeria.reaches(order["id"], "cancelled")
    assert await pizzeria.events(order["id"], "kitchen.events") == ["kitchen.ticket_rejected"]
    assert ended["payment"]["status"] == "refunded"
    assert ended["payment"]["refunded"] == ended["payment"]["captured"] == order["total"]
    await pizzeria.check_invariants()
    after = {item["ingredient"]: item for item in (await pizzeria.read("kitchen", "/inventory"))["items"]}
    assert after["pineapple"] == stock["pineapple"]
    assert after["dough"]["in_stock"] == stock["dough"]["in_stock"]


@pytest.mark.proves("P3", "I2")
async def test_a_repeated_request_is_one_order(pizzeria: Pizzeria) -> None:
    guest, key = await pizzeria.guest(), str(uuid4())
    body = {"items": pizzas(), "payment": {"token": "tok_approved"}}
    first = await guest.send_order(body, key=key)
    again = await guest.send_order(body, key=key)
    assert first.status_code == again.status_code == 201
    assert again.json() == first.json()
    assert again.headers["Idempotency-Replayed"] == "true"
    other = await guest.send_order({**body, "items": pizzas("pepperoni")}, key=key)
    assert other.status_code == 409
    assert other.json()["type"] == "/problems/idempotency-key-reused"

    at_once = str(uuid4())
    answers = await asyncio.gather(*(guest.send_order(body, key=at_once) for _ in range(5)))
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert len({answer.json()["id"] for answer in answers if answer.status_code == 201}) == 1

    stranger = await pizzeria.guest()
    assert (await stranger.send_order(body, key=key)).json()["id"] != first.json()["id"]
    await pizzeria.check_invariants()
    placed = await pizzeria.events(first.json()["id"])
    assert placed.count("order.placed") == placed.count("payment.captured") == 1


@pytest.mark.proves("P3", "P8", "R16")
async def test_express_goes_before_standard_and_each_in_turn(pizzeria: Pizzeria) -> None:
    guest, cook = await pizzeria.guest(), pizzeria.cook()
    placed = []
    for priority in ("standard", "standard", "express", "standard", "express"):
        order = await guest.place(priority=priority)
        await accepted(pizzeria, order["id"])
        placed.append(order["id"])
    cooked = []
    for _ in placed:
        ticket = await cook.claim()
        assert ticket is not None
        cooked.append(ticket.order_id)
        assert (await cook.complete(ticket)).is_success
    assert [placed.index(order) for order in cooked] == [2, 4, 0, 1, 3]
    await pizzeria.check_invariants()


@pytest.mark.proves("P8", "I8")
async def test_a_full_station_gets_no_more(pizzeria: Pizzeria) -> None:
    guest, cook = await pizzeria.guest(), pizzeria.cook()
    places = pizzeria.diary.capacity[cook.station]
    order = await guest.place(pizzas(quantity=places + 1))
    held = [await cook.take(order["id"]) for _ in range(places)]
    full = await pizzeria.call("kitchen", "POST", f"/stations/{cook.station}/claim", role="cook")
    assert full.status_code == 409
    assert full.json()["type"] == "/problems/station-full"
    elsewhere = await pizzeria.cook("oven-2").take(order["id"])
    for ticket in held:
        assert (await cook.complete(ticket)).is_success
    assert (await pizzeria.cook("oven-2").complete(elsewhere)).is_success
    await pizzeria.check_invariants()


@pytest.mark.proves("P4", "P7")
async def test_an_order_takes_its_ingredients_once(pizzeria: Pizzeria) -> None:
    await pizzeria.check_invariants()
    before = {item["ingredient"]: item for item in (await pizzeria.read("kitchen", "/inventory"))["items"]}
    guest = await pizzeria.guest()
    order = await guest.place(pizzas("pepperoni", quantity=3))
    await accepted(pizzeria, order["id"])
    held = {item["ingredient"]: item for item in (await pizzeria.read("kitchen", "/inventory"))["items"]}
    taken = held["pepperoni"]["reserved"] - before["pepperoni"]["reserved"]
    assert taken > 0
    assert taken % 3 == 0
    await pizzeria.cook().cook(order["id"])
    after = {item["ingredient"]: item for item in (await pizzeria.read("kitchen", "/inventory"))["items"]}
    assert after["pepperoni"]["consumed"] - before["pepperoni"]["consumed"] == taken
    assert after["pepperoni"]["reserved"] == before["pepperoni"]["reserved"]
    await pizzeria.check_invariants()


@pytest.mark.proves("P11", "I6")
async def test_analytics_counts_what_was_sold(pizzeria: Pizzeria) -> None:
    await pizzeria.check_invariants()
    sold = (await pizzeria.read("analytics", "/revenue"))["revenue"]
    guest = await pizzeria.guest()
    order = await guest.place(pizzas("bbq-chicken", quantity=2))
    refused = await guest.place(pizzas("hawaiian", quantity=30, size="large"))
    await pizzeria.reaches(refused["id"], "cancelled")
    await pizzeria.check_invariants()
    now = (await pizzeria.read("analytics", "/revenue"))["revenue"]
    assert amount(now) - amount(sold) == amount(order["total"])
    journey = await pizzeria.read("analytics", f"/journeys/{order['id']}")
    assert "pizzeria.delivery.completed.v1" in [step["type"] for step in journey["items"]]


async def accepted(pizzeria: Pizzeria, order_id: str) -> None:
    """Return when the kitchen has the tickets in its queue."""

    async def known() -> None:
        assert "kitchen.ticket_accepted" in await pizzeria.events(order_id, "kitchen.events")

    await pizzeria.eventually(known, order=order_id)
