"""The guest's page in a real browser: come in, fill the cart, order, follow it to the door."""

from typing import TYPE_CHECKING

import pytest
from pizzeria_contracts.events import (
    CancellationAccepted,
    DeliveryCompleted,
    DeliveryStarted,
    OrderReady,
    TicketStarted,
)
from rediscore.testing import eventually

from services.order.tests.harness import House
from services.order.tests.neighbours import ticket_line

if TYPE_CHECKING:
    from playwright.async_api import Page as Tab


@pytest.mark.proves("P2", "P3", "P6")
async def test_a_guest_orders_and_follows_the_order_live(house: House, tab: "Tab") -> None:
    http = await house.open()
    addresses: list[str] = []
    tab.on("request", lambda request: addresses.append(request.url))
    await tab.goto(str(http.base_url))
    await tab.get_by_label("Your name").fill("Ada")
    await tab.get_by_role("button", name="Come in").click()
    await tab.get_by_text("Good to see you, Ada.").wait_for()
    await tab.get_by_label("Size of Margherita").select_option("large")
    await tab.get_by_role("button", name="Add Margherita").click()
    await tab.get_by_role("button", name="More margherita").click()
    await tab.get_by_label("Deliver to").fill("Via Roma 1")
    await tab.get_by_role("button", name="Order for €33.78").click()

    progress = tab.get_by_role("list", name="Progress")
    at = progress.locator("[aria-current=step]")
    await at.get_by_text("confirmed").wait_for()
    await tab.get_by_text("Handed to the kitchen").wait_for()
    ((order_id,),) = house.rows("SELECT id FROM orders")
    house.kitchen.history = [ticket_line("claimed", "oven-1", seconds=0)]
    await house.kitchen.tell(order_id, TicketStarted(ticket_id="t", station_id="oven-1"))
    await at.get_by_text("cooking").wait_for()
    await tab.get_by_text("Pizza: claimed").wait_for()
    await house.kitchen.tell(order_id, OrderReady(), DeliveryStarted(driver_id="d"))
    await at.get_by_text("delivering").wait_for()
    await house.kitchen.tell(order_id, DeliveryCompleted(driver_id="d"))
    await at.get_by_text("delivered").wait_for()
    await tab.get_by_label("Tracking").get_by_text("ended").wait_for()

    token = await tab.evaluate("sessionStorage.getItem('pizzeria-token')")
    assert token
    assert not [address for address in addresses if token in address]  # never in an address


@pytest.mark.proves("P6")
async def test_who_comes_back_to_an_order_sees_it_and_may_cancel_it(house: House, tab: "Tab") -> None:
    first = await house.open()
    guest = await house.guest(first)
    order_id = await guest.placed()
    await guest.until_status(order_id, "confirmed")
    await tab.goto(f"{first.base_url}/pages/order")
    secret = guest.headers["Authorization"].removeprefix("Bearer ")
    await tab.evaluate("token => sessionStorage.setItem('pizzeria-token', token)", secret)
    await tab.goto(f"{first.base_url}/pages/order#{order_id}")
    await tab.reload()
    tracking = tab.get_by_label("Tracking")
    await tracking.get_by_text("live", exact=True).wait_for()
    await tracking.get_by_role("button", name="Cancel the order").click()
    await tab.get_by_role("button", name="Cancel it").click()
    await tracking.get_by_text("Cancellation requested").wait_for()
    await eventually(lambda: "order.cancellation_requested" in house.told(order_id))
    await house.kitchen.tell(order_id, CancellationAccepted())
    await tracking.get_by_text("ended").wait_for()
    await tracking.get_by_text("Money given back").wait_for()
