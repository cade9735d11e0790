"""Analytics' pages in a real browser, on a running service."""

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from analytics_service.app import create_analytics_app
from pizzeria_chassis.testing import TOKENS, serving
from pizzeria_contracts.events import DeliveryCompleted

from services.analytics.tests.harness import House

if TYPE_CHECKING:
    from playwright.async_api import Page as Tab


@pytest_asyncio.fixture
async def signed_in(house: House, tab: "Tab") -> AsyncIterator["Tab"]:
    """A manager looks at the numbers; one order is delivered already."""
    order_id = await house.place("hawaiian", 2, "30.00")
    await house.kitchen.tell(DeliveryCompleted(driver_id="d-1"), subject=order_id)
    async with serving(create_analytics_app(house.settings())) as url:
        await tab.goto(url)
        await tab.get_by_label("Token").fill(TOKENS["manager"])
        await tab.get_by_role("button", name="Sign in").click()
        yield tab


@pytest.mark.proves("P11", "P12", "P13")
async def test_a_manager_reads_the_numbers_begins_a_campaign_and_folds_anew(
    signed_in: "Tab", house: House
) -> None:
    """One walk through all three pages: each start of a service costs."""
    tab = signed_in
    revenue = tab.locator("section.card", has=tab.get_by_text("Revenue today", exact=True))
    await revenue.get_by_text("€30.00", exact=True).wait_for()
    await tab.get_by_text("live", exact=True).wait_for()
    await tab.get_by_text("all events are counted").wait_for()
    await house.place("margherita", 1, "12.50")
    await revenue.get_by_text("€42.50").wait_for()
    await tab.get_by_role("cell", name="Order to delivered").wait_for()
    await tab.get_by_role("heading", name="Customers by money").wait_for()
    await tab.get_by_label("Leaderboards of").select_option("all")
    await tab.get_by_label("Moment").fill("2026-01-01T12:00:00")
    await tab.get_by_role("button", name="Look back").click()
    await (
        tab.locator("section.card", has=tab.get_by_text("favourite", exact=True)).get_by_text("–").wait_for()
    )
    assert await tab.locator("canvas").count() == 6

    await tab.get_by_role("link", name="Customers").click()
    await tab.get_by_label("Choose new").check()
    await tab.get_by_role("button", name="Begin a campaign").click()
    await tab.get_by_label("Name").fill("Welcome")
    await tab.get_by_role("button", name="OK").click()
    await tab.get_by_text("Welcome is for 1 customers.").wait_for()
    await tab.get_by_role("row", name="Welcome").get_by_role("button", name="Whom?").click()
    await tab.get_by_role("listitem").get_by_text("c-1").wait_for()

    await tab.get_by_role("link", name="Projections").click()
    await tab.get_by_role("row", name="nothing counted").get_by_text("live").wait_for()
    await tab.get_by_role("button", name="Fold anew").click()
    await tab.get_by_role("row", name="asked for").get_by_text("live").wait_for()
    await tab.get_by_role("button", name="Check against archive and feeds").click()
    await tab.get_by_text("all adds up").wait_for()
