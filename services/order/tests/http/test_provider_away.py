"""The payment provider does not answer: orders wait, nobody waits for it, nothing is lost or doubled."""

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from order_service.domain.errors import ProviderUnavailable
from order_service.domain.news import Settlement
from order_service.domain.saga import Answer
from order_service.use_cases.ports import PaymentProvider
from rediscore.testing import eventually

from services.order.tests.harness import House


class Away:
    """A way to the provider that can be closed; counts who tried."""

    def __init__(self, provider: PaymentProvider) -> None:
        self.provider = provider
        self.closed = False
        self.tried = 0

    def knows(self, token: str) -> bool:
        return self.provider.knows(token)

    async def charge(self, key: str, amount: Decimal, token: str) -> Answer:
        self._pass()
        return await self.provider.charge(key, amount, token)

    async def lookup(self, key: str) -> Answer:
        self._pass()
        return await self.provider.lookup(key)

    async def refund(self, key: str) -> Settlement:
        self._pass()
        return await self.provider.refund(key)

    def _pass(self) -> None:
        self.tried += 1
        if self.closed:
            raise ProviderUnavailable("The way is closed.")


def on_a_way_that_can_be_closed(house: House) -> list[Away]:
    ways: list[Away] = []

    def around(provider: PaymentProvider) -> PaymentProvider:
        ways.append(Away(provider))
        return ways[-1]

    house.around_provider = around
    return ways


@pytest.mark.proves("P4", "R11", "I1", "I2")
async def test_an_open_breaker_puts_the_step_off_and_nothing_is_lost(house: House) -> None:
    ways = on_a_way_that_can_be_closed(house)
    guest = await house.guest(await house.open())
    ways[0].closed = True
    ids = [await guest.placed() for _ in range(12)]

    async def payments() -> str:
        checks = (await guest.http.get("/health/ready")).json()
        return str(checks["status"]) + "/" + str(checks["checks"]["payments"]["status"])

    async def degraded() -> bool:
        return await payments() == "degraded/degraded"

    await eventually(degraded, within=40)
    # Orders are accepted all the same, and for them nobody has called.
    late = await guest.placed()
    await eventually(
        lambda: house.rows("SELECT 1 FROM journey WHERE order_id = ? AND type = 'payment.not_asked'", late)
    )
    tried = ways[0].tried
    await asyncio.sleep(1)
    assert ways[0].tried - tried <= 4  # a probe now and then, not thirteen orders over and over
    assert {(await guest.look(order_id))["status"] for order_id in [*ids, late]} == {"pending"}

    ways[0].closed = False
    for order_id in [*ids, late]:
        await guest.until_status(order_id, "confirmed", within=30)
        assert house.movements(order_id) == [("captured", 2598)]
        assert house.told(order_id) == ["order.placed", "payment.captured", "order.confirmed"]
    assert await payments() == "ready/ok"


@pytest.mark.proves("P4", "P6", "I2")
async def test_who_cancels_meanwhile_is_told_at_once_and_gets_the_money_later(house: House) -> None:
    ways = on_a_way_that_can_be_closed(house)
    guest = await house.guest(await house.open())
    order_id = await guest.placed(scheduled_for=(datetime.now(UTC) + timedelta(hours=1)).isoformat())
    await guest.until(order_id, lambda order: order["payment"]["status"] == "captured")
    ways[0].closed = True
    answer = await guest.post(f"/orders/{order_id}/cancel")
    assert answer.status_code == 200
    assert answer.json()["cancellation"] == "requested"
    owed = await guest.until_status(order_id, "cancelled")
    assert owed["payment"]["status"] == "refund_pending"
    ways[0].closed = False
    order = await guest.until(order_id, lambda order: order["payment"]["status"] == "refunded")
    assert order["payment"]["refunded"] == order["total"]
