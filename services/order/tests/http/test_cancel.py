"""Cancelling: at once, by the kitchen's decision, or too late."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from order_service.domain.errors import ProviderUnavailable
from order_service.domain.news import Settlement
from order_service.domain.saga import Answer
from order_service.use_cases.ports import PaymentProvider
from pizzeria_contracts.events import (
    CancellationAccepted,
    CancellationRefused,
    TicketRejected,
    TicketStarted,
)
from rediscore.settings import RedisSettings
from rediscore.testing import eventually
from rediscore.testing.proxy import FaultProxy

from services.order.tests.harness import MANAGER, ON_BOTH_DATABASES, ON_POSTGRESQL, Guest, House

STARTED = TicketStarted(ticket_id="t-1", station_id="oven-1")


class SlowRoad:
    """A way to the provider on which charges can be held up, and refunds can fail."""

    def __init__(self, provider: PaymentProvider) -> None:
        self.provider = provider
        self.charges_pass = asyncio.Event()
        self.charging = asyncio.Event()
        self.refunds_fail = 0

    def knows(self, token: str) -> bool:
        return self.provider.knows(token)

    async def charge(self, key: str, amount: Decimal, token: str) -> Answer:
        self.charging.set()
        await self.charges_pass.wait()
        return await self.provider.charge(key, amount, token)

    async def lookup(self, key: str) -> Answer:
        return await self.provider.lookup(key)

    async def refund(self, key: str) -> Settlement:
        if self.refunds_fail:
            self.refunds_fail -= 1
            raise ProviderUnavailable("The road is blocked.")
        return await self.provider.refund(key)


def on_a_slow_road(house: House) -> list[SlowRoad]:
    roads: list[SlowRoad] = []

    def around(provider: PaymentProvider) -> PaymentProvider:
        roads.append(SlowRoad(provider))
        return roads[-1]

    house.around_provider = around
    return roads


@pytest.mark.proves("P4", "P6", "I2")
async def test_before_it_is_charged_an_order_is_cancelled_at_once(house: House) -> None:
    roads = on_a_slow_road(house)
    guest = await house.guest(await house.open())
    (road,) = roads
    order_id = await guest.placed()
    await road.charging.wait()
    # The charge is on its way: the decision is made now, and carried out behind it.
    cancelling = asyncio.create_task(guest.post(f"/orders/{order_id}/cancel"))
    await guest.until(order_id, lambda order: order["cancellation"] == "requested")
    road.charges_pass.set()
    answer = await cancelling
    assert answer.status_code == 200
    order = answer.json()
    assert order["status"] == "cancelled"
    assert order["payment"]["captured"] == order["payment"]["refunded"]
    assert house.told(order_id)[-1] == "order.cancelled"
    assert "order.confirmed" not in house.told(order_id)
    assert (await guest.post(f"/orders/{order_id}/cancel")).status_code == 200


@ON_BOTH_DATABASES
@pytest.mark.proves("I2")
async def test_a_charge_that_arrives_after_the_cancellation_finds_the_door_closed(house: House) -> None:
    roads = on_a_slow_road(house)
    first = await house.guest(await house.open(saga_lease_seconds=0.2))
    order_id = await first.placed()
    await roads[0].charging.wait()
    # Another replica takes the order over while the first one's charge is stuck on the road.
    second = Guest.of(await house.open(), first)
    roads[1].charges_pass.set()
    answer = await second.post(f"/orders/{order_id}/cancel")
    assert answer.status_code in (200, 202)
    await second.until_status(order_id, "cancelled")
    before = house.movements(order_id)
    roads[0].charges_pass.set()
    other = await first.placed()
    await first.until_status(other, "confirmed")  # the first replica has gone on meanwhile
    assert house.movements(order_id) == before
    assert sum(cents if kind == "captured" else -cents for kind, cents in before) == 0


@pytest.mark.proves("P6")
async def test_the_kitchen_decides_and_lets_go(house: House, guest: Guest) -> None:
    order_id = await guest.placed()
    await guest.until_status(order_id, "confirmed")
    await house.kitchen.accept(order_id)
    answers = [await guest.post(f"/orders/{order_id}/cancel") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert answers[0].json()["cancellation"] == "requested"
    assert answers[0].json()["status"] == "confirmed"
    assert house.told(order_id).count("order.cancellation_requested") == 1
    await house.kitchen.tell(order_id, CancellationAccepted())
    order = await guest.until_status(order_id, "cancelled")
    assert order["payment"]["refunded"] == order["total"]
    assert (await guest.post(f"/orders/{order_id}/cancel")).status_code == 200


@pytest.mark.proves("P6")
async def test_the_kitchen_refuses_and_cooking_goes_on(house: House, guest: Guest) -> None:
    order_id = await guest.placed()
    await guest.until_status(order_id, "confirmed")
    await house.kitchen.accept(order_id)
    assert (await guest.post(f"/orders/{order_id}/cancel")).status_code == 202
    await house.kitchen.tell(order_id, STARTED, CancellationRefused())
    order = await guest.until(order_id, lambda order: order["cancellation"] == "refused")
    assert order["status"] == "cooking"
    assert order["payment"]["refunded"]["amount"] == "0.00"


@pytest.mark.proves("P6")
async def test_once_cooking_has_begun_it_is_too_late(house: House, guest: Guest) -> None:
    order_id = await guest.placed()
    await guest.until_status(order_id, "confirmed")
    await house.kitchen.tell(order_id, STARTED)
    await guest.until_status(order_id, "cooking")
    answer = await guest.post(f"/orders/{order_id}/cancel")
    assert answer.status_code == 409
    assert answer.json()["type"] == "/problems/too-late-to-cancel"
    assert (await guest.look(order_id))["cancellation"] is None


async def to_be_refunded(house: House, road: SlowRoad, guest: Guest) -> str:
    """An order that the kitchen has let go, and whose refund fails five times."""
    road.charges_pass.set()
    order_id = await guest.placed()
    await guest.until_status(order_id, "confirmed")
    road.refunds_fail = 5
    await guest.post(f"/orders/{order_id}/cancel")
    await house.kitchen.tell(order_id, CancellationAccepted())
    return order_id


@ON_POSTGRESQL
@pytest.mark.proves("P4", "P14", "R17", "I2")
async def test_a_refund_that_fails_is_owed_visibly_and_tried_again_by_tasks(house: House) -> None:
    roads = on_a_slow_road(house)
    guest = await house.guest(await house.open(refund_sweep_seconds=3600, payment_retry_seconds=0.2))
    order_id = await to_be_refunded(house, roads[0], guest)
    owed = await guest.until_status(order_id, "cancelled")
    assert owed["payment"]["status"] == "refund_pending"
    seen = (await guest.http.get("/orders?payment=refund_pending", headers=MANAGER)).json()["items"]
    assert [order["id"] for order in seen] == [order_id]
    order = await guest.until(order_id, lambda order: order["payment"]["status"] == "refunded")
    assert order["payment"]["refunded"] == order["total"]
    assert house.told(order_id)[-2:] == ["order.cancelled", "payment.refunded"]
    assert house.movements(order_id) == [("captured", 2598), ("refunded", 2598)]

    async def told() -> list[dict[str, Any]]:
        letters: list[dict[str, Any]] = (await guest.get("/me/mailbox")).json()["items"]
        return letters if len(letters) == 3 else []

    refunded, cancelled, _ = await eventually(told, within=40)
    assert (cancelled["kind"], cancelled["content"]["refund_pending"]) == ("cancelled", True)
    assert (refunded["kind"], refunded["content"]["refunded"]["amount"]) == ("refunded", "25.98")


@pytest.mark.proves("P4", "I2")
async def test_a_refund_whose_task_redis_never_got_is_tried_again(
    house: House, fault_proxy: FaultProxy
) -> None:
    roads = on_a_slow_road(house)
    away = house.redis.model_copy(update={"host": "127.0.0.1", "port": fault_proxy.port})
    through = RedisSettings.model_validate(away)
    slow = {"refund_sweep_seconds": 0.2, "payment_retry_seconds": 1}
    guest = await house.guest(await house.open(redis=through, **slow))
    roads[0].charges_pass.set()
    order_id = await guest.placed()
    await guest.until_status(order_id, "confirmed")
    roads[0].refunds_fail = 1
    await house.kitchen.tell(order_id, TicketRejected(reason="out-of-stock"))
    tried = "SELECT saga_attempts FROM orders WHERE saga_step = 'refund'"
    await eventually(lambda: house.rows(tried) == [(1,)], within=40, every=0.01)
    fault_proxy.cut()  # before the task's time
    order = await guest.until(order_id, lambda order: order["payment"]["status"] == "refunded")
    assert order["status"] == "cancelled"
    assert house.movements(order_id) == [("captured", 2598), ("refunded", 2598)]


async def test_only_the_guest_who_placed_it_may_cancel(house: House, guest: Guest) -> None:
    order_id = await guest.placed()
    stranger = await house.guest(guest.http)
    assert (await stranger.post(f"/orders/{order_id}/cancel")).status_code == 404
    assert (await guest.look(order_id))["cancellation"] is None
