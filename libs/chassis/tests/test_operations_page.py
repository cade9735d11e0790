"""The page for operators in a real browser, on a service that runs."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from pizzeria_chassis.chassis import Chassis
from pizzeria_chassis.history import outbox_state
from pizzeria_chassis.tables import dead_letter
from pizzeria_chassis.testing import TOKENS, serving
from pizzeria_chassis.testing.events import Upstream
from pizzeria_contracts.events import TicketStarted
from pizzeria_contracts.streams import KITCHEN
from rediscore.settings import RedisSettings
from sqlalchemy import insert

from libs.chassis.tests.ops_shop import BROKEN, make_shop

if TYPE_CHECKING:
    from playwright.async_api import Locator
    from playwright.async_api import Page as Tab


@dataclass
class Desk:
    """The page at ``url`` in ``tab``, and the service behind it."""

    tab: "Tab"
    url: str
    chassis: Chassis

    async def enter(self, token: str = TOKENS["manager"]) -> None:
        await self.tab.goto(self.url)
        await self.tab.get_by_label("Token").fill(token)
        await self.tab.get_by_role("button", name="Sign in").click()

    async def click(self, name: str, inside: str = "#page") -> None:
        await self.tab.locator(inside).get_by_role("button", name=name, exact=True).click()

    def arrow(self, name: str, words: str) -> "Locator":
        return self.tab.locator(f'#map .arrow[data-name="{name}"]', has_text=words)

    async def effects(self) -> int:
        """What the handler did, each time one event of our own."""
        async with self.chassis.database.read() as connection:
            return (await outbox_state(connection)).head


@pytest_asyncio.fixture
async def desk(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    own_redis: RedisSettings,
    upstream: Upstream,
    tab: "Tab",
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Desk]:
    """In the demo or as the parameter says, nobody signed in; the service has no page of its own."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    chassis, app = make_shop(tmp_path, own_redis, upstream, getattr(request, "param", "demo"), tasks=True)
    async with serving(app) as url:
        yield Desk(tab, url, chassis)
        await tab.close()


@pytest.mark.proves("P16")
async def test_a_dead_letter_is_shown_edited_redriven_and_handled_once(
    desk: Desk, upstream: Upstream
) -> None:
    markup = "<img src=x onerror=alert(1)>"
    await upstream.tell(BROKEN, markup)
    await desk.enter()
    row = desk.tab.locator("#letters tr", has_text="handler-failed")
    await row.get_by_text(markup).wait_for()  # as text
    await row.get_by_role("button", name="Look").click()
    letter = desk.tab.locator("#letter")
    await letter.get_by_text(markup).first.wait_for()
    await letter.get_by_text("Traceback").click()
    await letter.get_by_text("RuntimeError").last.wait_for()
    data, save = letter.get_by_label("Data"), letter.get_by_role("button", name="Save the edit")

    await data.fill('{"ticket_id": "t-1"')
    await letter.get_by_text("This is no JSON").wait_for()
    assert await save.is_disabled()
    await data.fill('{"ticket_id": "t-1"}')
    await save.click()
    await letter.get_by_text("/event/data/station_id").wait_for()  # refused, and the edit is still there
    assert await data.input_value() == '{"ticket_id": "t-1"}'
    await data.fill('{"ticket_id": "t-1", "station_id": "oven-1"}')
    assert await letter.get_by_role("button", name="Redrive").is_disabled()  # it would take what is saved
    await save.click()
    await letter.get_by_text("edited", exact=True).wait_for()
    assert await desk.effects() == 0

    await desk.click("Redrive", "#letter")
    await desk.click("Redrive", "dialog")
    await letter.get_by_role("heading", name="redriven").wait_for()
    assert await desk.effects() == 1
    await desk.tab.locator("#letters").get_by_text("No dead letters here.").wait_for()
    await desk.tab.locator("#log tr", has_text="redrive").get_by_text("edited").wait_for()
    await desk.arrow(KITCHEN, "up to date").wait_for()


@pytest.mark.proves("P16")
async def test_all_are_redriven_at_a_pace_and_one_is_dropped_with_a_reason(
    desk: Desk, upstream: Upstream
) -> None:
    for number in range(3):
        await upstream.tell(BROKEN, f"o-{number}")
    await desk.enter()
    letters = desk.tab.locator("#letters")
    await letters.get_by_role("row").nth(3).wait_for()
    await desk.tab.get_by_label("Reason", exact=True).select_option("malformed")
    await letters.get_by_text("No dead letters here.").wait_for()
    await desk.tab.get_by_label("Reason", exact=True).select_option("handler-failed")
    await letters.get_by_role("button", name="Look").first.click()
    await desk.click("Drop …", "#letter")
    await desk.tab.locator("dialog").get_by_label("Reason").fill("the order is over")
    await desk.click("Drop it", "dialog")
    await desk.tab.locator("#letter").get_by_role("heading", name="dropped").wait_for()

    await desk.click("Redrive all …")
    await desk.click("Redrive all", "dialog")
    await desk.tab.get_by_text("2 of 2 were tried again.").wait_for()
    log = desk.tab.locator("#log")
    await log.get_by_text("2 letters, 50 per second").wait_for()
    await log.get_by_text("the order is over").wait_for()
    await desk.tab.locator("#lag").get_by_text("2 dead").wait_for()  # they died again


@pytest.mark.proves("P16")
async def test_many_letters_are_turned_over_page_by_page(desk: Desk) -> None:
    died: dict[str, Any] = {"reason": "rejected", "error": "", "attempts": 1, "died_at": datetime.now(UTC)}
    died |= {"stream": KITCHEN, "state": "waiting"}
    rows = [{"key": f"e-{number}", "subject": f"o-{number}", **died} for number in range(130)]
    database = desk.chassis.database
    async with database.connect(database.engines.writer) as connection, connection.begin():
        await connection.execute(insert(dead_letter), rows)
    await desk.enter()
    letters = desk.tab.locator("#letters")
    await letters.get_by_text("o-99", exact=True).wait_for()
    assert await letters.get_by_role("button", name="Earlier").count() == 0
    await desk.click("Later", "#letters")
    await letters.get_by_text("o-129", exact=True).wait_for()
    assert await letters.get_by_role("row").count() == 1 + 30
    assert await letters.get_by_role("button", name="Later").count() == 0
    await desk.click("Earlier", "#letters")
    await letters.get_by_text("o-0", exact=True).wait_for()
    await desk.click("Later", "#letters")
    await letters.get_by_text("o-129", exact=True).wait_for()
    await desk.tab.get_by_label("Reason", exact=True).select_option("rejected")
    await letters.get_by_text("o-0", exact=True).wait_for()  # another choice begins at its beginning


@pytest.mark.proves("P16", "R11")
async def test_the_picture_shows_a_neighbour_away_an_open_breaker_and_a_fault(
    desk: Desk, upstream: Upstream
) -> None:
    await desk.tab.clock.install()
    await upstream.tell(TicketStarted(ticket_id="t-1", station_id="oven-1"))
    await desk.enter()
    await desk.arrow(KITCHEN, "up to date").wait_for()
    await desk.arrow("orders.events", "all sent").wait_for()
    await desk.arrow("redis", "breaker closed").wait_for()
    links = await desk.tab.locator("#map a").evaluate_all("all => all.map((a) => a.getAttribute('href'))")
    # The name of a container means nothing to a browser; what it publishes is where this page is.
    assert set(links) == {"http://127.0.0.1/pages/operations"}
    odd = ["javascript:alert(1)", "no address", "https://me:secret@kitchen.example:1/feed?a=b"]
    load = "async (odd) => odd.map((await import('/pages/assets/operations-map.js')).pageOf)"
    assert await desk.tab.evaluate(load, odd) == [None, None, "https://kitchen.example:1/pages/operations"]

    upstream.away = True
    desk.chassis.redis_breaker.force_open()
    await desk.arrow(KITCHEN, "away").wait_for()
    await desk.arrow("redis", "breaker open").wait_for()
    await desk.tab.locator("#breakers tr", has_text="redis").get_by_text("open", exact=True).wait_for()

    upstream.away = False
    desk.chassis.redis_breaker.reset()
    await desk.tab.get_by_label("Fault").select_option("pause")
    await desk.click("Switch on")
    await desk.arrow(KITCHEN, "paused by a fault").wait_for()
    await upstream.tell(TicketStarted(ticket_id="t-2", station_id="oven-1"))
    row = desk.tab.locator("#lag tr", has_text=KITCHEN)
    await row.get_by_role("cell", name="2", exact=True).wait_for()  # the head: one is behind
    assert await row.get_by_text("late").count() == 0
    await desk.tab.clock.fast_forward(11_000)
    await row.get_by_text("late").wait_for()
    await desk.click("All off")
    await desk.click("All off", "dialog")
    await desk.arrow(KITCHEN, "up to date").wait_for()
    await desk.tab.get_by_text("No fault is switched on.").wait_for()


@pytest.mark.proves("P15", "P16")
@pytest.mark.parametrize("desk", ["production"], indirect=True)
async def test_a_cook_is_refused_with_a_sentence_and_a_manager_may_come_in_then(desk: Desk) -> None:
    await desk.enter(TOKENS["cook"])
    await desk.tab.get_by_text("This takes the role manager.").wait_for()
    assert await desk.tab.locator("#map").count() == 0
    await desk.click("Use another token")
    await desk.tab.get_by_label("Token").fill(TOKENS["manager"])
    await desk.click("Sign in", "dialog")
    await desk.tab.get_by_role("heading", name="Operations of order").wait_for()
    assert TOKENS["manager"] not in await desk.tab.content()
    await desk.tab.get_by_role("heading", name="What operators did").wait_for()
    assert await desk.tab.get_by_text("Faults of the demo").count() == 0  # not in production
    await desk.tab.get_by_role("link", name="Background tasks").click()
    await desk.tab.wait_for_url("**/ops/tasks/")
