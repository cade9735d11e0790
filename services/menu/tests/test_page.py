"""The menu's page in a real browser."""

from typing import TYPE_CHECKING, Any

import httpx
import pytest
from menu_service.app import create_menu_app
from pizzeria_chassis.testing import TOKENS, serving

from services.menu.tests.harness import settings

if TYPE_CHECKING:
    from playwright.async_api import Page as Tab


@pytest.mark.proves("P1")
async def test_a_manager_edits_and_who_was_overtaken_is_told(
    sqlite_url: str, own_redis: str, tab: "Tab"
) -> None:
    manager = {"Authorization": f"Bearer {TOKENS['manager']}"}
    app = create_menu_app(settings(sqlite_url, own_redis))
    async with serving(app) as url, httpx.AsyncClient(base_url=url, headers=manager, timeout=20) as other:

        async def now() -> dict[str, Any]:
            found: dict[str, Any] = (await other.get("/menu/hawaiian")).json()
            return found

        await tab.goto(url)
        hawaiian = tab.get_by_role("row", name="Hawaiian")
        await hawaiian.get_by_text("available").wait_for()
        assert await hawaiian.get_by_role("button").count() == 0  # guests only look
        await tab.get_by_role("button", name="Edit the menu").click()
        await tab.get_by_label("Token").fill(TOKENS["manager"])
        await tab.get_by_role("button", name="Sign in").click()
        await hawaiian.get_by_role("button", name="Edit").click()
        faster = await other.patch(
            "/menu/hawaiian", json={"description": "Hot."}, headers={"If-Match": '"1"'}
        )
        assert faster.status_code == 200
        await tab.get_by_label("Price, medium").fill("17.50")
        await tab.get_by_role("button", name="Save").click()
        await tab.get_by_text("Somebody else has changed it.").wait_for()
        assert (await now())["version"] == 2
        await hawaiian.get_by_text("Hot.").wait_for()
        await hawaiian.get_by_role("button", name="Edit").click()
        await tab.get_by_label("Price, medium").fill("17.50")
        await tab.get_by_role("button", name="Save").click()
        await hawaiian.get_by_text("17.50").wait_for()
        await hawaiian.get_by_role("button", name="Take off").click()
        await hawaiian.get_by_text("off", exact=True).wait_for()
        found = await now()
        assert (found["available"], found["prices"]["medium"]["amount"]) == (False, "17.50")
        await tab.close()
