"""Order history and the live view."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pizzeria_contracts.events import DeliveryCompleted, DeliveryStarted, OrderReady, TicketStarted
from rediscore.testing import FaultProxy

from services.order.tests.harness import MANAGER, Guest, House


@asynccontextmanager
async def live(guest: Guest, order_id: str) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
    """The orders that the live view sends, one by one."""
    async with guest.http.stream("GET", f"/orders/{order_id}/live", headers=guest.headers) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")

        async def orders() -> AsyncIterator[dict[str, Any]]:
            async for line in answer.aiter_lines():
                if line.startswith("data: "):
                    yield json.loads(line.removeprefix("data: "))

        yield orders()


async def until(orders: AsyncIterator[dict[str, Any]], status: str, within: float) -> dict[str, Any]:
    async with asyncio.timeout(within):
        async for order in orders:
            if order["status"] == status:
                return order
    raise AssertionError(f"The stream ended before {status}.")


@pytest.mark.proves("P6")
async def test_the_live_view_follows_an_order_to_its_end(house: House, guest: Guest) -> None:
    order_id = await guest.placed()
    async with live(guest, order_id) as orders:
        await until(orders, "confirmed", within=5)
        for news, status in (
            (TicketStarted(ticket_id="t", station_id="s"), "cooking"),
            (OrderReady(), "ready"),
            (DeliveryStarted(driver_id="d"), "delivering"),
        ):
            await house.kitchen.tell(order_id, news)
            await until(orders, status, within=5)
        # A hint, not the look every 2 s, brings it.
        await house.kitchen.tell(order_id, DeliveryCompleted(driver_id="d"))
        await until(orders, "delivered", within=1.5)
        assert [order async for order in orders] == []  # the stream ends with the order


@pytest.mark.proves("P6")
async def test_without_hints_the_live_view_looks_again(house: House, fault_proxy: FaultProxy) -> None:
    house.redis = house.redis.model_copy(update={"host": "127.0.0.1", "port": fault_proxy.port})
    guest = await house.guest(await house.open(payment_timeout_seconds=1))
    await guest.http.get("/menu")
    fault_proxy.cut()
    order_id = await guest.placed("tok_timeout")
    async with live(guest, order_id) as orders:
        await until(orders, "confirmed", within=8)


@pytest.mark.proves("P6")
async def test_history_comes_in_pages_newest_first(guest: Guest) -> None:
    placed = [await guest.placed("tok_declined" if n == 2 else "tok_approved") for n in range(5)]
    await guest.until_status(placed[2], "cancelled")
    first = (await guest.get("/orders?limit=3")).json()
    assert [order["id"] for order in first["items"]] == placed[:1:-1]
    second = (await guest.get(f"/orders?limit=3&after={first['next']}")).json()
    assert [order["id"] for order in second["items"]] == placed[1::-1]
    assert second["next"] is None
    cancelled = (await guest.get("/orders?status=cancelled")).json()["items"]
    assert [order["id"] for order in cancelled] == [placed[2]]


async def test_a_manager_finds_owed_refunds(guest: Guest) -> None:
    await guest.until_status(await guest.placed(), "confirmed")
    found = (await guest.http.get("/orders?payment=refund_pending", headers=MANAGER)).json()
    assert found == {"items": [], "next": None}
    assert (await guest.get("/orders?payment=captured")).json()["items"] != []
    assert (await guest.get("/orders?status=eaten")).status_code == 422
