"""The journey: everything that happened to an order, from whoever knows, and who did not answer."""

from datetime import datetime
from typing import Any

import pytest
from pizzeria_contracts.events import OrderReady, TicketStarted
from rediscore.testing import FaultProxy, eventually

from services.order.tests.harness import MANAGER, Guest, House
from services.order.tests.neighbours import ticket_line


@pytest.mark.proves("P6")
async def test_it_tells_what_the_kitchen_did_between_our_own_lines(house: House, guest: Guest) -> None:
    order_id = await guest.placed("tok_timeout")
    await guest.until_status(order_id, "confirmed")
    await house.kitchen.accept(order_id)
    house.kitchen.history = [
        ticket_line("claimed", "oven-1", seconds=1),
        ticket_line("lease_extended", "oven-1", seconds=2),
        ticket_line("lease_expired", "oven-1", seconds=3),
        ticket_line("taken_over", "oven-2", seconds=4),
        ticket_line("failed", "oven-2", seconds=5, failure="burnt"),
        ticket_line("claimed", "oven-2", seconds=6, attempt=2),
    ]
    await guest.until(order_id, lambda order: order["estimated_ready_at"] == "2026-11-21T20:00:00Z")
    journey = (await guest.get(f"/orders/{order_id}/journey")).json()
    assert journey["missing"] == []
    lines = journey["items"]
    types = [line["type"] for line in lines]
    for kind in ("payment.no_answer", "saga.taken_up", "pizzeria.kitchen.ticket_accepted.v1"):
        assert kind in types
    of_kitchen = [line for line in lines if line["type"].startswith("kitchen.ticket.")]
    assert [line["type"].removeprefix("kitchen.ticket.") for line in of_kitchen] == [
        line["what"] for line in house.kitchen.history
    ]
    assert of_kitchen[4]["detail"]["failure"] == "burnt"
    assert of_kitchen[5]["detail"]["attempt"] == 2
    assert all(line["source"] == "/pizzeria/kitchen" and line["trace_id"] for line in of_kitchen)
    times = [datetime.fromisoformat(line["time"]) for line in lines]
    assert times == sorted(times)
    states = [line["state"] for line in lines if line["source"] == "/pizzeria/order" and line["state"]]
    assert states == ["pending", "confirmed"]
    lease = next(line for line in lines if line["type"] == "saga.taken_up")["detail"]
    assert (lease["step"], lease["failed_before"]) == ("lookup", 1)


@pytest.mark.proves("P6", "I9")
async def test_it_tells_of_dead_letters_that_concern_the_order(house: House, guest: Guest) -> None:
    order_id = await guest.placed()
    other = await guest.placed()
    for one in (order_id, other):
        await guest.until_status(one, "confirmed")
    await house.kitchen.tell(order_id, TicketStarted(ticket_id="t", station_id="s"))
    await house.kitchen.tell_nonsense(order_id)
    await house.kitchen.tell(order_id, OrderReady())
    await guest.until_status(order_id, "ready")

    async def told() -> list[dict[str, Any]]:
        lines = (await guest.get(f"/orders/{order_id}/journey")).json()["items"]
        return [line for line in lines if line["type"] == "dead_letter"]

    (letter,) = await eventually(told, within=40)
    assert letter["source"] == "/pizzeria/order"  # whose consumer has given up
    assert letter["detail"]["event"] == "pizzeria.kitchen.ticket_completed.v1"
    assert letter["detail"]["reason"] == "invalid-payload"
    assert letter["detail"]["attempts"] >= 0
    assert letter["trace_id"] is None or len(letter["trace_id"]) == 32
    others = (await guest.get(f"/orders/{other}/journey")).json()["items"]
    assert "dead_letter" not in [line["type"] for line in others]


@pytest.mark.proves("P6")
async def test_with_the_kitchen_or_redis_away_it_tells_the_rest_and_says_so(
    house: House, fault_proxy: FaultProxy
) -> None:
    house.redis = house.redis.model_copy(update={"host": "127.0.0.1", "port": fault_proxy.port})
    guest = await house.guest(await house.open())
    order_id = await guest.placed()
    await guest.until_status(order_id, "confirmed")
    house.kitchen.history_away = True
    journey = (await guest.get(f"/orders/{order_id}/journey")).json()
    assert journey["missing"] == ["kitchen"]
    fault_proxy.cut()
    journey = (await guest.http.get(f"/orders/{order_id}/journey", headers=MANAGER)).json()
    assert journey["missing"] == ["kitchen", "dead letters"]
    assert [line["type"] for line in journey["items"]] == [
        "pizzeria.order.placed.v1",
        "pizzeria.payment.captured.v1",
        "pizzeria.order.confirmed.v1",
    ]
