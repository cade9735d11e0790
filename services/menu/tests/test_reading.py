"""What guests and other services read."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from menu_service.cache import MenuCopy
from menu_service.reading import MENU, MenuAnswer
from pizzeria_chassis.errors import DatabaseUnavailable
from pizzeria_contracts.menu import Menu as MenuContract
from rediscore.client import RedisConnections
from rediscore.keys import KeySpace
from rediscore.testing import FaultProxy, eventually, patient_settings

from services.menu.tests.harness import Menu, open_menu


async def test_the_menu_is_what_others_read_by_contract(any_menu: Menu) -> None:
    answer = await any_menu.guest.get("/menu")
    assert answer.status_code == 200
    read = MenuContract.model_validate(answer.json())
    assert [item.id for item in read.items] == [
        "bbq-chicken", "hawaiian", "margherita", "meat-lovers", "pepperoni", "vegetarian",
    ]  # fmt: skip
    margherita = read.item("margherita")
    assert margherita is not None
    assert {size: str(price.amount) for size, price in margherita.prices.items()} == {
        "small": "10.39", "medium": "12.99", "large": "16.89",
    }  # fmt: skip
    assert margherita.available
    assert str(read.topping_price("olives")) == "1.50"
    assert len(read.toppings) == 10


async def test_one_pizza_comes_with_its_etag(menu: Menu) -> None:
    answer = await menu.guest.get("/menu/margherita")
    assert answer.headers["etag"] == '"1"'
    assert answer.json()["ingredients"] == ["dough", "tomato-sauce", "mozzarella", "basil"]


@pytest.mark.proves("P1")
async def test_who_has_the_menu_is_told_so_until_it_changes(menu: Menu) -> None:
    first = await menu.guest.get("/menu")
    for header in (first.headers["etag"], f'W/{first.headers["etag"]}, "other"', "*"):
        again = await menu.guest.get("/menu", headers={"If-None-Match": header})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == first.headers["etag"]
    assert (await menu.patch("margherita", 1, available=False)).status_code == 200
    changed = await menu.guest.get("/menu", headers={"If-None-Match": first.headers["etag"]})
    assert changed.status_code == 200
    assert changed.headers["etag"] != first.headers["etag"]


async def test_who_has_a_pizza_is_told_so_until_it_changes(menu: Menu) -> None:
    known = {"If-None-Match": '"1"'}
    assert (await menu.guest.get("/menu/margherita", headers=known)).status_code == 304
    await menu.patch("margherita", 1, available=False)
    assert (await menu.guest.get("/menu/margherita", headers=known)).json()["available"] is False


@pytest.mark.proves("P1")
async def test_the_copy_is_there_before_the_first_guest_asks(menu: Menu, copy: MenuCopy) -> None:
    await eventually(lambda: copy.cache.has(MENU), what="the menu is warm")


async def test_a_pizza_that_does_not_exist(menu: Menu) -> None:
    answer = await menu.guest.get("/menu/calzone")
    assert answer.status_code == 404
    assert answer.json()["type"] == "/problems/not-found"


@pytest_asyncio.fixture
async def copy(own_redis: str) -> AsyncIterator[MenuCopy]:
    """The copy of the menus on `own_redis`, as another replica has it."""
    connections = RedisConnections(patient_settings(own_redis))
    opened = MenuCopy(connections, KeySpace("menu"), ttl=timedelta(seconds=10), patience=timedelta(seconds=5))
    yield opened
    await opened.stop()
    await connections.aclose()


@pytest.mark.proves("P1", "R3")
async def test_the_menu_is_served_from_the_copy(menu: Menu, copy: MenuCopy) -> None:
    await menu.guest.get("/menu")
    assert await copy.cache.has(MENU)
    await copy.cache.set(MENU, MenuAnswer(items=(), toppings=()))
    assert (await menu.guest.get("/menu")).json()["items"] == []


async def test_a_change_is_in_the_menu_of_every_replica_at_once(database_url: str, own_redis: str) -> None:
    async with open_menu(database_url, own_redis) as one, open_menu(database_url, own_redis) as other:
        assert (await other.listed("margherita") or {})["available"]
        assert (await one.patch("margherita", 1, available=False)).status_code == 200
        assert not (await other.listed("margherita") or {})["available"]


async def test_a_slow_reader_cannot_bring_back_an_old_copy(menu: Menu, copy: MenuCopy) -> None:
    """Another replica has read the menu before a change, and stores it after."""
    old = MenuAnswer.model_validate((await menu.guest.get("/menu")).json())
    await copy.forget()
    has_read, go = asyncio.Event(), asyncio.Event()

    async def slow() -> MenuAnswer:
        has_read.set()
        await go.wait()
        return old

    reader = asyncio.create_task(copy.cache.remember(MENU, slow))
    await has_read.wait()
    assert (await menu.patch("margherita", 1, available=False)).status_code == 200
    go.set()
    assert await reader == old  # it asked before
    assert not await copy.cache.has(MENU)
    assert not (await menu.listed("margherita") or {})["available"]


@pytest.mark.proves("P1", "R6")
async def test_while_the_database_is_away_the_last_copy_is_served(
    menu: Menu, copy: MenuCopy, own_redis: str
) -> None:
    answer = (await menu.guest.get("/menu")).json()
    connections = RedisConnections(patient_settings(own_redis))
    async for key in connections.scan_keys("menu:v1:*:e:*"):  # its ten seconds are over
        await connections.execute("PEXPIRE", key, 590_000)
    await connections.aclose()
    assert await copy.cache.get(MENU) is None

    async def away() -> MenuAnswer:
        raise DatabaseUnavailable("away")

    assert (await copy.cache.remember(MENU, away)).model_dump(mode="json") == answer


async def sent(menu: Menu, position: int) -> bool:
    outbox = (await menu.service.get("/events/positions")).json()["outbox"]
    return bool(outbox["sent"] == position)


@pytest.mark.proves("R6")
async def test_without_redis_the_menu_is_read_and_changed_and_says_so(
    database_url: str, own_redis: str, redis_road: FaultProxy
) -> None:
    async with open_menu(database_url, redis_road.url(own_redis)) as menu:
        await eventually(lambda: sent(menu, 6), what="the seed is sent")
        redis_road.cut()
        ready = await menu.guest.get("/health/ready")
        assert ready.status_code == 200
        assert ready.json()["status"] == "degraded"
        assert ready.json()["checks"]["redis"]["status"] == "down"
        assert await menu.listed("margherita")

        assert (await menu.patch("margherita", 1, available=False)).status_code == 200
        assert not (await menu.listed("margherita") or {})["available"]
        last = (await menu.service.get("/events/positions")).json()["outbox"]
        assert last["head"] == 7
        assert last["sent"] == 6

        redis_road.restore()

        async def well_again() -> bool:
            status = (await menu.guest.get("/health/ready")).json()["status"]
            return bool(status == "ready" and await sent(menu, 7))

        await eventually(well_again, within=40, what="sent and ready")
        assert not (await menu.listed("margherita") or {})["available"]


async def test_a_service_that_starts_without_redis_serves_the_menu(tmp_path: Path) -> None:
    nowhere = "redis://127.0.0.1:9/0"
    async with open_menu(f"sqlite:///{tmp_path / 'menu.db'}", nowhere) as menu:
        assert await menu.listed("margherita")
        assert (await menu.guest.get("/health/ready")).json()["status"] == "degraded"


async def test_a_redis_that_hangs_holds_nobody_up(
    tmp_path: Path, own_redis: str, redis_road: FaultProxy
) -> None:
    url = f"sqlite:///{tmp_path / 'menu.db'}"
    async with open_menu(url, redis_road.url(own_redis), menu_cache_patience_seconds=0.25) as menu:
        assert await menu.listed("margherita")
        redis_road.pause()
        started = time.monotonic()
        assert await menu.listed("margherita")
        assert time.monotonic() - started < 3  # two questions to Redis take twice 2 s without that patience
        started = time.monotonic()
        assert (await menu.patch("margherita", 1, available=False)).status_code == 200
        assert time.monotonic() - started < 3
        assert not (await menu.listed("margherita") or {})["available"]
        redis_road.resume()
