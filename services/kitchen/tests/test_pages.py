"""The kitchen's pages in a real browser, on a running kitchen."""

from typing import TYPE_CHECKING

import pytest

from services.kitchen.tests.harness import TOKENS, Hands, Kitchens, item

if TYPE_CHECKING:
    from playwright.async_api import Page as Tab


async def _open(tab: "Tab", hands: Hands, name: str, role: str) -> None:
    await tab.goto(f"{hands.client.base_url}/pages/{name}")
    await tab.get_by_label("Token").fill(TOKENS[role])
    await tab.get_by_role("button", name="Sign in").click()


@pytest.mark.proves("P9")
async def test_the_display_shows_the_queue_and_who_cooks_what_and_hears_of_changes(
    kitchens: Kitchens, hands: Hands, tab: "Tab"
) -> None:
    await kitchens.order(item("hawaiian", toppings=["olives"]), priority="express")
    await hands.take("oven-1")
    await _open(tab, hands, "display", "cook")
    oven = tab.locator("section.card", has=tab.get_by_role("heading", name="oven-1"))
    await oven.get_by_text("hawaiian").wait_for()
    await oven.get_by_text("working").wait_for()
    await tab.get_by_text("Nothing waits.").wait_for()
    await tab.get_by_text("live", exact=True).wait_for()
    order_id = await kitchens.order(item("pepperoni", quantity=2))
    await kitchens.hears(order_id, "kitchen.ticket_accepted")
    await tab.get_by_role("cell", name="pepperoni").first.wait_for()


@pytest.mark.proves("P9", "P10")
async def test_a_cook_and_a_driver_do_their_work_on_pages(
    kitchens: Kitchens, hands: Hands, tab: "Tab"
) -> None:
    order_id = await kitchens.order(item("margherita"))
    await kitchens.hears(order_id, "kitchen.ticket_accepted")
    await _open(tab, hands, "station", "manager")
    await tab.get_by_label("Station").select_option("oven-2")
    await tab.get_by_role("button", name="Next pizza").click()
    await tab.get_by_role("button", name="Done").click()
    await kitchens.hears(order_id, "kitchen.order_ready")
    await tab.get_by_role("link", name="Deliveries").click()
    await tab.get_by_label("Driver").fill("ada")
    await tab.get_by_role("button", name="Take it out").click()
    await tab.get_by_role("button", name="Delivered").click()
    events = await kitchens.hears(order_id, "delivery.completed")
    assert events[-1].data["driver_id"] == "ada"


@pytest.mark.proves("P7")
async def test_stock_is_restocked_on_its_page(hands: Hands, tab: "Tab") -> None:
    before = (await hands.stock())["basil"]["restocked"]
    await _open(tab, hands, "stock", "cook")
    await tab.get_by_role("row", name="basil").get_by_role("button", name="Restock").click()
    await tab.get_by_label("Portions").fill("25")
    await tab.get_by_role("button", name="Add").click()
    await tab.get_by_text("Added.").wait_for()
    assert (await hands.stock())["basil"]["restocked"] == before + 25
