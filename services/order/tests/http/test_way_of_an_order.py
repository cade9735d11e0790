"""The way of an order, driven by the kitchen's events."""

import pytest
from pizzeria_contracts.events import (
    DeliveryCompleted,
    DeliveryStarted,
    OrderReady,
    TicketAccepted,
    TicketCompleted,
    TicketRejected,
    TicketStarted,
)
from rediscore.testing import FaultProxy, eventually

from services.order.tests.harness import ON_BOTH_DATABASES, ON_POSTGRESQL, Guest, House

READY_AT = "2026-11-21T20:00:00Z"
STARTED = TicketStarted(ticket_id="t-1", station_id="oven-1")
COMPLETED = TicketCompleted(ticket_id="t-1", station_id="oven-1", seconds=1.5)
ON_THE_ROAD = DeliveryStarted(driver_id="d-1")
HANDED_OVER = DeliveryCompleted(driver_id="d-1")


@ON_BOTH_DATABASES
@pytest.mark.proves("P3", "P4", "P5", "I7")
async def test_an_order_goes_through_all_states_to_delivered(house: House, guest: Guest) -> None:
    answer = await guest.order(
        priority="express",
        items=[
            {"pizza_id": "margherita", "size": "large", "toppings": ["olives"], "quantity": 2},
            {"pizza_id": "margherita", "size": "small", "quantity": 1},
        ],
    )
    assert answer.status_code == 201
    placed = answer.json()
    assert answer.headers["location"] == f"/orders/{placed['id']}"
    assert placed["status"] == "pending"
    assert placed["total"] == {"amount": "47.17", "currency": "EUR"}
    assert placed["items"][0]["unit_price"] == {"amount": "18.39", "currency": "EUR"}
    assert placed["payment"]["captured"]["amount"] == "0.00"
    assert placed["priority"] == "express"
    order_id = placed["id"]

    confirmed = await guest.until_status(order_id, "confirmed")
    assert confirmed["payment"]["status"] == "captured"
    assert confirmed["payment"]["captured"] == placed["total"]

    await house.kitchen.accept(order_id)
    accepted = await guest.until(order_id, lambda order: order["estimated_ready_at"] == READY_AT)
    versions = [confirmed["version"], accepted["version"]]
    for news, status in (
        (STARTED, "cooking"),
        (COMPLETED, "cooking"),
        (OrderReady(), "ready"),
        (ON_THE_ROAD, "delivering"),
        (HANDED_OVER, "delivered"),
    ):
        await house.kitchen.tell(order_id, news)
        versions.append((await guest.until_status(order_id, status))["version"])
    assert versions == sorted(versions)
    assert house.movements(order_id) == [("captured", 4717)]
    assert house.told(order_id) == ["order.placed", "payment.captured", "order.confirmed"]


@pytest.mark.proves("P4", "I2")
async def test_a_declined_card_ends_the_order(house: House, guest: Guest) -> None:
    order = await guest.until_status(await guest.placed("tok_declined"), "cancelled")
    assert order["payment"]["status"] == "declined"
    assert order["payment"]["captured"]["amount"] == "0.00"
    assert house.told(order["id"]) == ["order.placed", "payment.declined", "order.cancelled"]
    assert house.movements(order["id"]) == []


@pytest.mark.proves("P4", "I2")
async def test_a_charge_that_times_out_is_asked_for_and_captured_once(house: House, guest: Guest) -> None:
    order = await guest.until_status(await guest.placed("tok_timeout"), "confirmed")
    assert order["payment"]["status"] == "captured"
    assert house.movements(order["id"]) == [("captured", 2598)]
    assert house.told(order["id"]) == ["order.placed", "payment.captured", "order.confirmed"]
    journey = (await guest.get(f"/orders/{order['id']}/journey")).json()["items"]
    # Nothing was guessed: the silence is there, and only after it the capture.
    types = [line["type"] for line in journey]
    assert types.index("payment.no_answer") < types.index("pizzeria.payment.captured.v1")


@ON_POSTGRESQL
@pytest.mark.proves("P4", "I2")
async def test_out_of_stock_gives_the_money_back(house: House, guest: Guest) -> None:
    order_id = await guest.placed()
    await guest.until_status(order_id, "confirmed")
    await house.kitchen.tell(order_id, TicketRejected(reason="out-of-stock", ingredients=("pineapple",)))
    order = await guest.until_status(order_id, "cancelled")
    assert order["payment"]["status"] == "refunded"
    assert order["payment"]["refunded"] == order["payment"]["captured"] == order["total"]
    assert house.movements(order_id) == [("captured", 2598), ("refunded", 2598)]
    assert house.told(order_id)[-2:] == ["payment.refunded", "order.cancelled"]


@pytest.mark.proves("P4")
async def test_a_kitchen_that_gives_up_in_mid_cooking_gives_the_money_back(
    house: House, guest: Guest
) -> None:
    order_id = await guest.placed()
    await guest.until_status(order_id, "confirmed")
    await house.kitchen.accept(order_id)
    await house.kitchen.tell(order_id, STARTED, TicketRejected(reason="cannot-cook"))
    order = await guest.until_status(order_id, "cancelled")
    assert order["payment"]["refunded"] == order["total"]


@pytest.mark.proves("P4")
async def test_a_kitchen_that_does_not_answer_in_time_loses_the_order(house: House) -> None:
    guest = await house.guest(await house.open(kitchen_deadline_seconds=0.5))
    order_id = await guest.placed()
    order = await guest.until_status(order_id, "cancelled")
    assert order["payment"]["status"] == "refunded"
    cancelled = (await guest.get(f"/orders/{order_id}/journey")).json()["items"][-1]
    assert cancelled["type"] == "pizzeria.order.cancelled.v1"
    assert cancelled["detail"] == {"reason": "kitchen-timeout", "refunded": "25.98"}


@pytest.mark.proves("P4")
async def test_a_kitchen_that_is_away_loses_the_order_too(house: House) -> None:
    house.kitchen_url = "http://127.0.0.1:9"
    guest = await house.guest(await house.open(kitchen_deadline_seconds=0.5))
    order = await guest.until_status(await guest.placed(), "cancelled")
    assert order["payment"]["status"] == "refunded"


@pytest.mark.proves("P4", "I2")
async def test_an_answer_that_was_given_in_time_counts_however_late_we_hear_it(house: House) -> None:
    guest = await house.guest(await house.open(kitchen_deadline_seconds=1))
    order_id = await guest.placed()
    await guest.until_status(order_id, "confirmed")
    await house.close()  # the order service is away, and past the deadline
    await house.kitchen.tell(order_id, TicketAccepted(tickets=("t",), estimated_ready_at=READY_AT), STARTED)
    await eventually(lambda: house.rows("SELECT 1 FROM orders WHERE saga_due_at < ?", house.now()))
    guest = Guest.of(await house.open(kitchen_deadline_seconds=1), guest)
    order = await guest.until(order_id, lambda order: order["status"] != "confirmed")
    assert order["status"] == "cooking"
    assert house.movements(order_id) == [("captured", 2598)]


@pytest.mark.proves("P4", "I2")
async def test_without_redis_the_deadline_waits_for_what_the_kitchen_may_have_said(
    house: House, fault_proxy: FaultProxy
) -> None:
    house.redis = house.redis.model_copy(update={"host": "127.0.0.1", "port": fault_proxy.port})
    guest = await house.guest(await house.open(kitchen_deadline_seconds=0.5))
    order_id = await guest.placed()
    confirmed = await guest.until_status(order_id, "confirmed")
    fault_proxy.cut()
    # The deadline comes and is put off, more than once.
    await guest.until(order_id, lambda order: order["version"] > confirmed["version"] + 1)
    await house.kitchen.accept(order_id)
    fault_proxy.restore()
    order = await guest.until(order_id, lambda order: order["estimated_ready_at"] == READY_AT)
    assert order["status"] == "confirmed"


@pytest.mark.proves("I7", "I9")
async def test_late_news_for_a_cancelled_order_is_noted_and_changes_nothing(
    house: House, guest: Guest
) -> None:
    order_id = await guest.placed()
    await guest.until_status(order_id, "confirmed")
    await house.kitchen.tell(order_id, TicketRejected(reason="out-of-stock"))
    cancelled = await guest.until_status(order_id, "cancelled")
    await house.kitchen.accept(order_id)
    await house.kitchen.tell(order_id, STARTED, COMPLETED, OrderReady(), ON_THE_ROAD, HANDED_OVER)

    # Another order behind it: the late ones blocked nothing and died nowhere.
    other = await guest.placed()
    await guest.until_status(other, "confirmed")
    await house.kitchen.accept(other)
    await guest.until(other, lambda order: order["estimated_ready_at"] == READY_AT)

    assert await guest.look(order_id) == cancelled
    journey = (await guest.get(f"/orders/{order_id}/journey")).json()["items"]
    late = [line for line in journey if line["detail"].get("changed") == "nothing"]
    assert len(late) == 6
    assert house.rows("SELECT count(*) FROM inbox WHERE status = 'dead'") == [(0,)]


@ON_POSTGRESQL
@pytest.mark.proves("P6")
async def test_the_journey_tells_everything_in_one_trace(house: House, guest: Guest) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    guest.headers["traceparent"] = f"00-{trace}-b7ad6b7169203331-01"
    order_id = await guest.placed("tok_timeout")
    await guest.until_status(order_id, "confirmed")
    lines = (await guest.get(f"/orders/{order_id}/journey")).json()["items"]
    assert [line["type"] for line in lines] == [
        "pizzeria.order.placed.v1",
        "payment.no_answer",
        "saga.taken_up",
        "pizzeria.payment.captured.v1",
        "pizzeria.order.confirmed.v1",
    ]
    assert {line["trace_id"] for line in lines} == {trace}
    assert lines == sorted(lines, key=lambda line: line["time"])


@pytest.mark.proves("I9")
async def test_duplicates_and_lost_events_have_their_effect_once(house: House, guest: Guest) -> None:
    order_id = await guest.placed()
    await guest.until_status(order_id, "confirmed")
    await house.kitchen.accept(order_id)
    # Redis loses two of these; the feed has them.
    lost = await house.kitchen.tell(order_id, STARTED, OrderReady(), on_stream=False)
    again = await house.kitchen.tell(order_id, ON_THE_ROAD)
    await guest.until_status(order_id, "delivering")
    await house.kitchen.repeat([*lost, *again])
    await house.kitchen.tell(order_id, HANDED_OVER)
    await guest.until_status(order_id, "delivered")
    heard = house.rows(
        "SELECT type FROM journey WHERE order_id = ? AND source = '/pizzeria/kitchen'", order_id
    )
    assert len(heard) == len(set(heard)) == 5


@pytest.mark.proves("I9")
async def test_news_of_an_order_that_is_not_ours_is_a_dead_letter_and_the_rest_flows(
    house: House, guest: Guest
) -> None:
    await house.kitchen.accept("00000000-0000-7000-8000-000000000000")
    order_id = await guest.placed()
    await guest.until_status(order_id, "confirmed")
    await house.kitchen.tell(order_id, STARTED)
    await guest.until_status(order_id, "cooking")
    assert house.rows("SELECT event_id FROM inbox WHERE status = 'dead'") == [(house.kitchen.told[0].id,)]
    (letter,) = await house.dead_letters()
    assert letter[b"reason"] == b"rejected"
    assert letter[b"group"] == b"order"


@pytest.mark.proves("I7")
async def test_lost_news_in_between_are_made_good_by_what_follows(house: House, guest: Guest) -> None:
    order_id = await guest.placed()
    await guest.until_status(order_id, "confirmed")
    # Neither accepted nor started ever come: as if both had become dead letters.
    await house.kitchen.tell(order_id, OrderReady())
    order = await guest.until_status(order_id, "ready")
    assert order["payment"]["status"] == "captured"
    # The kitchen's deadline is met.
    assert house.rows("SELECT saga_step, saga_due_at FROM orders") == [("await_delivery", None)]
