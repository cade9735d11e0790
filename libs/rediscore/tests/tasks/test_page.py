"""The operators' page in a real browser, mounted at some prefix, closed by a token."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from socket import AF_INET, SOCK_STREAM, socket
from typing import Annotated

import pytest
import uvicorn
from fastapi import Depends, FastAPI, Header, HTTPException
from playwright.async_api import Browser, Locator, Page, async_playwright, expect
from rediscore.tasks import Retry, Tasks, Worker
from rediscore.tasks.fastapi import tasks_router

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chrome")

pytestmark = [
    pytest.mark.proves("R17"),
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on the PATH"),
]

Start = Callable[..., Worker]
TOKEN = "let-me-in"


@pytest.fixture
async def address(tasks: Tasks) -> AsyncIterator[str]:
    async def manager(authorization: Annotated[str, Header()] = "") -> None:
        if authorization != f"Bearer {TOKEN}":
            raise HTTPException(401)

    app = FastAPI()
    app.include_router(tasks_router(tasks, dependencies=[Depends(manager)]), prefix="/some/where")
    listening = socket(AF_INET, SOCK_STREAM)
    listening.bind(("127.0.0.1", 0))
    config = uvicorn.Config(app, lifespan="off", log_config=None, timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    yield f"http://127.0.0.1:{listening.getsockname()[1]}/some/where"
    server.should_exit = True
    await serving


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield launched
        await launched.close()


async def test_enter_watch_retry_and_cancel(
    tasks: Tasks, start: Start, address: str, browser: Browser
) -> None:
    broken = True

    @tasks.task(retry=Retry(max_attempts=1))
    async def mail(to: str) -> None:
        if broken:
            raise ValueError("<img src=x onerror=alert(1)> is no address")

    page = await browser.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda line: faults.append(line.text) if "Security Policy" in line.text else None)
    addresses: list[str] = []
    page.on("request", lambda request: addresses.append(request.url))

    # Without a token there is a door, and a wrong one does not open it.
    await page.goto(address)
    await enter(page, "wrong")
    await expect(page.locator("#fault")).to_have_text("That token is not known.")
    await enter(page, TOKEN)
    await expect(page.locator("#state")).to_have_text("live")

    # What happens comes by itself.
    await mail.apply_async(["mario@example.org"], task_id="mail-1")
    await mail.apply_async(["luigi@example.org"], task_id="mail-2", countdown=timedelta(hours=1))
    start(name="ada")
    await expect(tile(page, "dead")).to_have_text("1", timeout=60_000)
    await tile(page, "dead").click()
    row = page.locator("tr.row")
    await expect(row).to_contain_text("ValueError: <img src=x onerror=alert(1)> is no address")
    await row.click()
    await expect(page.locator("tbody")).to_contain_text("Arguments are hidden.")

    # Nothing is done without a yes.
    broken = False
    await page.get_by_role("button", name="Retry", exact=True).click()
    await page.get_by_role("button", name="No", exact=True).click()
    await expect(row).to_have_count(1)
    await page.get_by_role("button", name="Retry", exact=True).click()
    await page.get_by_role("button", name="Yes", exact=True).click()
    await expect(page.locator("#note")).to_have_text("1 done.")
    await expect(page.locator(".nothing")).to_have_text("Nothing is dead. Good.")

    await tile(page, "scheduled").click()
    await expect(row).to_contain_text("mail-2")
    await page.locator("#filter").fill("nobody")
    await expect(row).to_have_count(0)
    await page.locator("#filter").fill("mail-2")
    await page.get_by_label("Class of mail-2").select_option("high")
    await expect(row.locator("td").nth(2)).to_have_text("high")
    await page.get_by_role("button", name="Cancel").click()
    await page.get_by_role("button", name="Yes", exact=True).click()
    await expect(tile(page, "scheduled")).to_have_text("0")

    await tile(page, "ended").click()
    await page.locator("#filter").fill("")
    await expect(page.locator(".succeeded")).to_have_count(1, timeout=60_000)
    await tile(page, "workers").click()
    await expect(row).to_contain_text("ada")

    assert faults == []
    assert not any(TOKEN in url for url in addresses)
    assert await page.evaluate("localStorage.length") == 0
    assert await page.context.cookies() == []
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.locator("#door")).to_be_visible()
    assert await page.evaluate("sessionStorage.length") == 0


async def enter(page: Page, token: str) -> None:
    await page.get_by_label("Token").fill(token)
    await page.get_by_role("button", name="Enter").click()


def tile(page: Page, tab: str) -> Locator:
    return page.locator(f"nav [data-tab={tab}] b")
