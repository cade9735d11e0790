"""What holds for the tests of every package."""

import os
import random
import shutil
from collections.abc import AsyncIterator, Iterator
from hashlib import sha256
from typing import TYPE_CHECKING
from uuid import uuid4

import asyncpg
import pytest
import pytest_asyncio
import structlog

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

# Only the top conftest may load a plugin; it brings Redis fixtures to every package's tests.
pytest_plugins = ["rediscore.testing.plugin"]


@pytest.fixture(autouse=True)
def _plain_logs() -> None:
    """Each test starts with structlog as it comes, but for tracebacks: one with the local variables of every
    frame takes half a second of the event loop."""
    structlog.reset_defaults()
    plain = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[*structlog.get_config()["processors"][:-1], plain])


@pytest.fixture(autouse=True, scope="session")
def _patient_databases() -> Iterator[None]:
    """A machine that runs many tests at once stands still for longer than a request may wait."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pizzeria_chassis.database.POOL_SECONDS", 30)
        patch.setattr("pizzeria_chassis.engines.CONNECT_SECONDS", 20)
        yield


class NoSkips:
    """With CI set a skipped test fails the run: CI has an engine, a browser and every server."""

    def __init__(self) -> None:
        self._skipped: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped and not hasattr(report, "wasxfail"):
            self._skipped.append(report.nodeid)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self._skipped:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for test in self._skipped:
            terminalreporter.write_line(f"skipped, which CI does not allow: {test}", red=True)


@pytest.fixture(scope="session")
def postgres_server(containers: bool) -> Iterator[str | None]:
    """Address of a PostgreSQL server, one for the session; None where no container engine answers."""
    if given := os.environ.get("TEST_POSTGRES_URL"):
        yield given
        return
    if not containers:
        yield None
        return
    from testcontainers.community.postgres import PostgresContainer

    # Without fsync: no test stops this server. Many services at once have their pools here.
    server = PostgresContainer("postgres:17-alpine", driver=None)
    with server.with_command("postgres -c fsync=off -c max_connections=300") as started:
        yield started.get_connection_url()


@pytest_asyncio.fixture
async def postgres_url(postgres_server: str | None) -> AsyncIterator[str]:
    """Address of an empty PostgreSQL database of this test's own."""
    if postgres_server is None:
        pytest.skip("no container engine answers: PostgreSQL is not tested here")
    name = f"test_{uuid4().hex[:12]}"
    admin = await asyncpg.connect(postgres_server)
    await admin.execute(f"CREATE DATABASE {name} STRATEGY FILE_COPY")  # a tenth of the time
    yield f"{postgres_server.rpartition('/')[0]}/{name}"
    await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await admin.close()


@pytest_asyncio.fixture(scope="session")
async def browser() -> "AsyncIterator[Browser]":
    """A real browser, one for the session."""
    from playwright.async_api import async_playwright

    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        pytest.skip("needs Chromium (Debian: apt install chromium)")
    async with async_playwright() as playwright:
        # Its sandbox wants more rights than a container gives; it only sees pages of our own.
        browser = await playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        await browser.close()


@pytest_asyncio.fixture
async def tab(browser: "Browser") -> "AsyncIterator[Page]":
    """A tab with its own storage. A script error, or what the security policy stops, fails the test."""
    context = await browser.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    tab = await context.new_page()
    tab.set_default_timeout(60_000)
    errors: list[str] = []
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.on(
        "console",
        lambda said: errors.append(said.text) if "Content Security Policy" in said.text else None,
    )
    yield tab
    await context.close()
    if errors:
        pytest.fail(f"The page had errors: {errors}")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Spread the work, for the workers take it in this sequence.

    The tests of a group run in turn on one worker, so the groups must not begin last; but they start many
    processes, so they should not all begin at once either. And tests that wait should run beside tests that
    compute, which lie in other folders.
    """
    if not hasattr(config, "workerinput"):
        return
    groups: dict[str, list[pytest.Item]] = {}
    alone: list[pytest.Item] = []
    for item in sorted(items, key=lambda item: sha256(item.nodeid.encode()).digest()):
        mark = item.get_closest_marker("xdist_group")
        (groups.setdefault(mark.args[0], []) if mark else alone).append(item)
    place = {item: place for place, item in enumerate(items)}
    for tests in groups.values():
        tests.sort(key=place.__getitem__)
    between = len(alone) * 2 // 3 // max(1, len(groups))
    items[:] = []
    for tests in sorted(groups.values(), key=len, reverse=True):
        items += [*tests, *alone[:between]]
        del alone[:between]
    items += alone


def pytest_configure(config: pytest.Config) -> None:
    # One seed for all workers, which must collect the same tests; they inherit it.
    os.environ.setdefault("SOAK_SEED", str(random.SystemRandom().randrange(1, 1_000_000)))
    if os.environ.get("CI") == "true" and not hasattr(config, "workerinput"):
        config.pluginmanager.register(NoSkips(), "no-skips")


def pytest_report_header() -> str:
    return f"SOAK_SEED={os.environ['SOAK_SEED']}"
