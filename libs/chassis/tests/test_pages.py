"""Pages: what is served, and that the kit works in a real browser."""

from collections.abc import AsyncIterator
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from fastapi import FastAPI
from pizzeria_chassis.pages import Page, pages_router
from pizzeria_chassis.testing import TOKENS, caller, serving
from pydantic import SecretStr
from rediscore.client import RedisConnections
from rediscore.pubsub import LiveChannels
from rediscore.settings import RedisSettings
from rediscore.testing import eventually

if TYPE_CHECKING:
    from playwright.async_api import Page as Tab


@pytest.fixture
def shop(
    monkeypatch: pytest.MonkeyPatch, sqlite_url: str, own_redis: RedisSettings, tokens: dict[str, SecretStr]
) -> FastAPI:
    """A service with one page."""
    monkeypatch.syspath_prepend(Path(__file__).parent)
    module: Any = import_module("shop.app")
    settings = module.ShopSettings(
        database_url=SecretStr(sqlite_url), redis=own_redis, kitchen_url="http://127.0.0.1:1", **tokens
    )
    app: FastAPI = module.create(settings)
    return app


async def test_a_page_is_open_and_allows_nothing_from_elsewhere(shop: FastAPI) -> None:
    async with caller(shop) as anybody:
        first = await anybody.get("/")
        assert (first.status_code, first.headers["location"]) == (307, "pages/visits")
        page = await anybody.get("/pages/visits")
        module = await anybody.get("/pages/assets/visits.js")
        unknown = [
            await anybody.get(f"/pages/{name}") for name in ("other", "assets/../app.py", "assets/x.js")
        ]
    assert page.status_code == 200
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "unsafe" not in page.headers["content-security-policy"]
    assert page.headers["referrer-policy"] == "no-referrer"
    assert module.headers["content-type"].startswith("text/javascript")
    assert [answer.status_code for answer in unknown] == [404, 404, 404]


async def test_an_asset_that_the_browser_has_is_not_sent_again(shop: FastAPI) -> None:
    async with caller(shop) as anybody:
        first = await anybody.get("/pages/assets/pizzeria.js")
        again = await anybody.get(
            "/pages/assets/pizzeria.js", headers={"If-None-Match": first.headers["etag"]}
        )
    assert (first.status_code, again.status_code, again.content) == (200, 304, b"")


def test_a_page_without_its_module_does_not_start() -> None:
    with pytest.raises(FileNotFoundError):
        pages_router([Page("nowhere", "Nowhere", "pizzeria_chassis.pages")])


@pytest_asyncio.fixture
async def visits(shop: FastAPI, tab: "Tab") -> AsyncIterator["Tab"]:
    """The page in a browser, not signed in."""
    async with serving(shop) as url:
        await tab.goto(url)
        yield tab
        await tab.close()


async def _sign_in(visits: "Tab", token: str) -> None:
    await visits.get_by_label("Token").fill(token)
    await visits.get_by_role("button", name="Sign in").click()


async def test_signed_in_it_shows_and_changes_what_the_api_has(visits: "Tab") -> None:
    await _sign_in(visits, TOKENS["manager"])
    await visits.get_by_text("No visits yet.").wait_for()
    await visits.get_by_role("button", name="Visit").click()
    await visits.get_by_label("Name").fill("<img src=x onerror=alert(1)>")
    await visits.get_by_role("button", name="OK").click()
    await visits.locator("#events td").get_by_text("<img src=x").wait_for()  # as text
    await visits.locator("#page canvas").wait_for()
    assert TOKENS["manager"] not in visits.url


async def test_a_refusal_is_told_and_a_wrong_token_is_forgotten(visits: "Tab") -> None:
    await _sign_in(visits, "nobody's token")
    await visits.get_by_text("Send a known token").wait_for()
    assert await visits.evaluate("sessionStorage.length") == 0


async def test_hints_arrive_also_after_the_stream_broke(visits: "Tab", own_redis: RedisSettings) -> None:
    await _sign_in(visits, TOKENS["manager"])
    connections = RedisConnections(own_redis)
    channels = LiveChannels(connections)

    async def heard(text: str) -> bool:
        await channels.notify("live.shop", {"order": text})
        return text in (await visits.locator("#heard").get_attribute("data-last") or "")

    try:
        await eventually(lambda: heard("one"), within=40, what="a hint was heard")
        await visits.context.set_offline(True)
        await visits.context.set_offline(False)
        await eventually(lambda: heard("two"), within=40, what="a hint was heard after the stream broke")
    finally:
        await channels.aclose()
        await connections.aclose()
