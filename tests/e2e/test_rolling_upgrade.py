"""The kitchen is upgraded under load, one process after the other, to a version that tells an event anew."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from tests.e2e import harness_snapshot
from tests.e2e.harness import Pizzeria
from tests.e2e.harness_backends import Processes
from tests.e2e.harness_people import pizzas

pytestmark = pytest.mark.xdist_group("e2e-upgrade")

KITCHENS = ("kitchen", "kitchen-2")
OLD, NEW = (f"pizzeria.kitchen.ticket_completed.v{version}" for version in (1, 2))


@pytest_asyncio.fixture
async def upgradable(folders: Callable[[str], Path], tmp_path: Path) -> AsyncIterator[Pizzeria]:
    """Two kitchens; which version of their code runs is decided at each start, by the file `version`."""
    version = tmp_path / "version"
    version.write_text("1")
    start = f'TICKET_COMPLETED_VERSION=$(cat "{version}") exec "{sys.executable}" -m kitchen_service'
    commands = {name: ["sh", "-c", start] for name in KITCHENS}
    async with Pizzeria(
        Processes("upgrade", tmp_path / "home", replicas={"kitchen": 2}, commands=commands)
    ) as shop:
        yield shop


@pytest.mark.proves("P17", "I1", "I5", "I6", "I7", "I9")
async def test_both_versions_run_side_by_side_under_load(upgradable: Pizzeria, tmp_path: Path) -> None:
    shop = upgradable
    back_end = shop.back_end
    assert isinstance(back_end, Processes)
    guest = await shop.guest()
    told: list[set[str]] = []

    async def upgrade() -> None:
        await some_are_cooked(shop)
        told.append(await versions_told(shop))
        (tmp_path / "version").write_text("2")
        for kitchen in KITCHENS:
            await back_end.restart(kitchen)
            await some_are_cooked(shop)
            told.append(await versions_told(shop))

    async with shop.at_work():
        upgrading = asyncio.create_task(upgrade())
        while not upgrading.done():
            await guest.place(pizzas(quantity=2))
            await asyncio.sleep(0.3)
        await upgrading
    await shop.check_invariants()
    assert told[0] == {OLD}
    assert told[-1] == {OLD, NEW}
    # The new ones were counted like the old ones, and all of them are on record.
    completed = [
        event for event in await harness_snapshot.feed(shop, "kitchen") if event["type"] in (OLD, NEW)
    ]
    stations = (await shop.read("analytics", "/leaderboards/stations"))["items"]
    assert sum(station["score"] for station in stations) == len(completed)


async def versions_told(shop: Pizzeria) -> set[str]:
    """In which versions the kitchen has told so far that a pizza is done."""
    return {event["type"] for event in await harness_snapshot.feed(shop, "kitchen")} & {OLD, NEW}


async def some_are_cooked(shop: Pizzeria) -> None:
    """Four more pizzas."""
    before = len(shop.diary.finished)

    async def more() -> None:
        assert len(shop.diary.finished) >= before + 4

    await shop.eventually(more)
