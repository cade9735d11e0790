"""Orders for later: charged now, with the kitchen in time, called off at once until then."""

from datetime import UTC, datetime, timedelta

import pytest
from rediscore.testing import FaultProxy, eventually

from services.order.tests.harness import ON_POSTGRESQL, Guest, House


def in_seconds(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


@ON_POSTGRESQL
@pytest.mark.proves("P3", "P4")
async def test_it_is_charged_now_and_enters_the_kitchen_in_time(house: House) -> None:
    house.kitchen.cooking_seconds = 2  # one round for two pizzas
    guest = await house.guest(await house.open())
    placed = (await guest.order(scheduled_for=in_seconds(6))).json()
    assert placed["estimated_ready_at"] == placed["scheduled_for"]
    order_id = placed["id"]
    waiting = await guest.until(order_id, lambda order: order["payment"]["status"] == "captured")
    assert waiting["status"] == "confirmed"
    assert house.told(order_id) == ["order.placed", "payment.captured"]  # the kitchen has not heard of it
    assert house.rows("SELECT saga_step FROM orders") == [("await_schedule",)]

    await eventually(lambda: "order.confirmed" in house.told(order_id), within=40)
    early = datetime.fromisoformat(placed["scheduled_for"]) - datetime.now(UTC)
    assert early <= timedelta(seconds=2.1)
    assert (await guest.look(order_id))["estimated_ready_at"] >= placed["scheduled_for"]
    await house.kitchen.accept(order_id)
    await eventually(lambda: house.rows("SELECT saga_step FROM orders") == [("await_cook",)])


@pytest.mark.proves("P3", "P6", "I2")
async def test_until_it_enters_the_kitchen_it_is_cancelled_at_once(house: House, guest: Guest) -> None:
    order_id = await guest.placed(scheduled_for=in_seconds(3600))
    await guest.until(order_id, lambda order: order["payment"]["status"] == "captured")
    answer = await guest.post(f"/orders/{order_id}/cancel")
    assert answer.status_code == 200
    assert answer.json()["status"] == "cancelled"
    assert answer.json()["payment"]["status"] == "refunded"
    assert house.movements(order_id) == [("captured", 2598), ("refunded", 2598)]
    assert house.told(order_id) == ["order.placed", "payment.captured", "payment.refunded", "order.cancelled"]


@pytest.mark.proves("P3")
async def test_it_survives_a_restart_a_wiped_redis_and_two_replicas_enter_it_once(house: House) -> None:
    guest = await house.guest(await house.open())
    order_id = await guest.placed(scheduled_for=in_seconds(5))
    await guest.until(order_id, lambda order: order["payment"]["status"] == "captured")
    await house.close()
    await house.kitchen.connections.commands.flushdb()
    first, _ = await house.open(), await house.open()
    guest = Guest.of(first, guest)
    await eventually(lambda: "order.confirmed" in house.told(order_id), within=40)
    assert house.told(order_id) == ["order.placed", "payment.captured", "order.confirmed"]
    assert house.movements(order_id) == [("captured", 2598)]
    # The stream has it too: Redis is filled again from here.
    await eventually(lambda: house.rows("SELECT count(*) FROM outbox WHERE sent_at IS NULL") == [(0,)])


@pytest.mark.proves("P3")
async def test_without_redis_it_is_taken_and_entered(house: House, fault_proxy: FaultProxy) -> None:
    house.redis = house.redis.model_copy(update={"host": "127.0.0.1", "port": fault_proxy.port})
    guest = await house.guest(await house.open())
    await guest.http.get("/menu")
    fault_proxy.cut()
    order_id = await guest.placed(scheduled_for=in_seconds(6))
    await eventually(lambda: "order.confirmed" in house.told(order_id), within=40)


@pytest.mark.proves("P3")
async def test_the_deadline_of_the_kitchen_counts_from_when_it_enters(house: House) -> None:
    guest = await house.guest(await house.open(kitchen_deadline_seconds=1))
    order_id = await guest.placed(scheduled_for=in_seconds(7))
    await guest.until(order_id, lambda order: order["payment"]["status"] == "captured")
    order = await guest.until_status(order_id, "cancelled")
    assert order["payment"]["status"] == "refunded"
    times = dict(
        house.rows("SELECT type, created_at FROM outbox WHERE subject = ? ORDER BY sequence", order_id)
    )
    entered = datetime.fromisoformat(times["pizzeria.order.confirmed.v1"])
    ended = datetime.fromisoformat(times["pizzeria.order.cancelled.v1"])
    assert ended - entered >= timedelta(seconds=1)
