"""Running pizzerias for the tests: one per back end and session, replaced after a test that failed.

Without a container engine the suite runs on the embedded server, and the cases that need containers are
skipped; with CI set a missing engine is a failure.
"""

import os
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from rediscore.testing.groups import is_last_of_group
from rediscore.testing.server import engine_answers

from tests.e2e.harness import Pizzeria
from tests.e2e.harness_backends import BackEnd, Processes
from tests.e2e.harness_compose import Compose
from tests.e2e.harness_snapshot import SERVICES

FAILED = pytest.StashKey[bool]()
LOGS = pytest.StashKey[BackEnd]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.when == "call" and report.failed:
        item.stash[FAILED] = True
        if back_end := item.stash.get(LOGS, None):
            for process in SERVICES:
                report.sections.append((f"end of the log of {process}", back_end.log(process)))
    return report


class Premises:
    """Holds a running pizzeria until its group of tests is over.

    After a failure it opens a new one, so that one failure stays one.
    """

    def __init__(self, make: Callable[[], BackEnd]) -> None:
        self._make = make
        self._open: Pizzeria | None = None
        self._hopeless = False

    async def open(self) -> Pizzeria:
        if self._hopeless:
            pytest.fail("This back end did not start for an earlier test.")
        if self._open is None:
            self._hopeless = True
            self._open = await Pizzeria(self._make()).__aenter__()
            self._hopeless = False
        return self._open

    async def close(self) -> None:
        if self._open is not None:
            shop, self._open = self._open, None
            await shop.__aexit__()


async def lend(premises: Premises, request: pytest.FixtureRequest) -> AsyncIterator[Pizzeria]:
    """The running pizzeria for one test."""
    shop = await premises.open()
    request.node.stash[LOGS] = shop.back_end
    yield shop
    if request.node.stash.get(FAILED, False) or is_last_of_group(request.node):
        await premises.close()


@pytest.fixture(scope="session")
def engine() -> bool:
    """Whether a container engine answers."""
    answers = engine_answers()
    if not answers and os.environ.get("CI") == "true":
        pytest.fail("CI is set and no container engine answers: start one.")
    return answers


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    return tmp_path_factory.mktemp


@pytest_asyncio.fixture(scope="session")
async def full_premises(engine: bool, folders: Callable[[str], Path]) -> AsyncIterator[Premises]:
    premises = Premises(lambda: Processes("full", folders("full"), contained=engine))
    yield premises
    await premises.close()


@pytest_asyncio.fixture
async def pizzeria(full_premises: Premises, request: pytest.FixtureRequest) -> AsyncIterator[Pizzeria]:
    """The pizzeria of the full suite: Redis in a container where an engine answers, else embedded."""
    async for shop in lend(full_premises, request):
        yield shop


@pytest_asyncio.fixture(scope="session")
async def replicated_premises(engine: bool, folders: Callable[[str], Path]) -> AsyncIterator[Premises]:
    replicas = {"order": 2, "kitchen": 2}
    premises = Premises(
        lambda: Processes("replicas", folders("replicas"), contained=engine, replicas=replicas)
    )
    yield premises
    await premises.close()


@pytest_asyncio.fixture
async def replicated(
    replicated_premises: Premises, request: pytest.FixtureRequest
) -> AsyncIterator[Pizzeria]:
    """A pizzeria with two processes of order and of kitchen."""
    async for shop in lend(replicated_premises, request):
        yield shop


@pytest.fixture(scope="session")
def make_back_end(
    request: pytest.FixtureRequest, engine: bool, folders: Callable[[str], Path]
) -> Iterator[Callable[[], BackEnd]]:
    """Makes the back end that the parameter names."""
    name: str = request.param
    if name == "embedded":
        yield lambda: Processes(name, folders(name))
        return
    if not engine:
        pytest.skip(f"no container engine answers, so nothing ran on {name}")
    if name == "compose":
        yield lambda: Compose(folders(name))
        return
    from testcontainers.community.postgres import PostgresContainer

    with PostgresContainer("postgres:17-alpine", driver=None) as server:
        yield lambda: Processes(name, folders(name), contained=True, postgres=server)


@pytest_asyncio.fixture(scope="session")
async def other_premises(make_back_end: Callable[[], BackEnd]) -> AsyncIterator[Premises]:
    premises = Premises(make_back_end)
    yield premises
    await premises.close()


@pytest_asyncio.fixture
async def shop(other_premises: Premises, request: pytest.FixtureRequest) -> AsyncIterator[Pizzeria]:
    """A pizzeria on the back end that the test's parameter names."""
    async for found in lend(other_premises, request):
        yield found
