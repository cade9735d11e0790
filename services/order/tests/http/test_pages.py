"""The guest's mailbox in a real browser."""

from typing import TYPE_CHECKING

import pytest

from services.order.tests.harness import Guest, House

if TYPE_CHECKING:
    from playwright.async_api import Page as Tab


@pytest.mark.proves("P14")
async def test_a_guest_reads_receipts_on_a_page_and_may_be_deleted_there(
    house: House, guest: Guest, tab: "Tab"
) -> None:
    order_id = await guest.placed()
    await tab.goto(f"{guest.http.base_url}/pages/mailbox")
    await tab.get_by_label("Token").fill(guest.headers["Authorization"].split()[1])
    await tab.get_by_role("button", name="Sign in").click()
    receipt = tab.locator("section.card", has=tab.get_by_role("heading", name="here is your receipt"))
    await receipt.get_by_role("cell", name="margherita, medium").wait_for()
    await receipt.get_by_text("25.98").first.wait_for()
    await guest.until_delivered(house, order_id)
    await tab.get_by_role("heading", name="has been delivered").wait_for()
    async with tab.expect_download() as download:
        await tab.get_by_role("button", name="My data").click()
    assert (await download.value).suggested_filename == "my-data.json"
    await tab.get_by_role("button", name="Delete me").click()
    await tab.get_by_role("button", name="Delete", exact=True).click()
    await tab.get_by_role("heading", name="Goodbye").wait_for()
    assert (await guest.get("/me")).status_code == 401
