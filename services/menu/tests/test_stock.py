"""A low ingredient withdraws its pizzas and brings them back, whatever staff want meanwhile."""

import pytest
import redis.asyncio
from pizzeria_contracts.events import StockLow, StockRestored
from pizzeria_contracts.streams import KITCHEN
from rediscore.client import RedisConnections
from rediscore.streams import StreamPublisher
from rediscore.testing import eventually, patient_settings

from services.menu.tests.harness import Kitchen, Menu

SEEDED = 6
ALL = {"bbq-chicken", "hawaiian", "margherita", "meat-lovers", "pepperoni", "vegetarian"}


async def low(kitchen: Kitchen, ingredient: str) -> None:
    await kitchen.tell(StockLow(ingredient=ingredient), subject=ingredient)


async def restored(kitchen: Kitchen, ingredient: str) -> None:
    await kitchen.tell(StockRestored(ingredient=ingredient), subject=ingredient)


async def available(menu: Menu) -> set[str]:
    items = (await menu.guest.get("/menu")).json()["items"]
    return {item["id"] for item in items if item["available"]}


async def becomes(menu: Menu, expected: set[str]) -> None:
    async def is_so() -> bool:
        return await available(menu) == expected

    await eventually(is_so, within=40, what=f"available: {sorted(expected)}")


async def heard(menu: Menu, position: int) -> None:
    """Wait until the menu has applied the kitchen's events up to there."""

    async def is_so() -> bool:
        inbox = (await menu.service.get("/events/positions")).json()["inbox"]
        return bool(inbox.get(KITCHEN, {}).get("position", 0) >= position)

    await eventually(is_so, within=40, what=f"position {position}")


async def told(menu: Menu) -> list[tuple[str, str]]:
    return [(event.type.split(".")[-2], event.subject) for event in await menu.told(after=SEEDED)]


@pytest.mark.proves("P7")
async def test_low_withdraws_and_restored_brings_back_once(menu_by_kitchen: Menu, kitchen: Kitchen) -> None:
    await low(kitchen, "pineapple")
    await becomes(menu_by_kitchen, ALL - {"hawaiian"})
    item = await menu_by_kitchen.item("hawaiian")
    assert (item["version"], item["short_of"]) == (2, ["pineapple"])

    await restored(kitchen, "pineapple")
    await becomes(menu_by_kitchen, ALL)
    events = await menu_by_kitchen.told(after=SEEDED)
    assert [(event.type.split(".")[-2], event.subject) for event in events] == [
        ("item_withdrawn", "hawaiian"),
        ("item_restored", "hawaiian"),
    ]
    assert events[0].data == {"version": 2, "reason": "stock"}
    assert events[0].correlationid == "pineapple"
    assert events[0].causationid


@pytest.mark.proves("I9")
async def test_an_event_delivered_twice_has_its_effect_once(
    menu_by_kitchen: Menu, kitchen: Kitchen, own_redis: str
) -> None:
    await low(kitchen, "pineapple")
    await becomes(menu_by_kitchen, ALL - {"hawaiian"})
    connections = RedisConnections(patient_settings(own_redis))
    publisher = StreamPublisher(connections)
    event = await publisher.last_event(KITCHEN)
    assert event is not None
    await publisher.publish(KITCHEN, [event, event])
    await connections.aclose()
    await restored(kitchen, "pineapple")
    await becomes(menu_by_kitchen, ALL)
    assert await told(menu_by_kitchen) == [("item_withdrawn", "hawaiian"), ("item_restored", "hawaiian")]


async def test_a_pizza_comes_back_when_its_last_missing_ingredient_does(
    menu_by_kitchen: Menu, kitchen: Kitchen
) -> None:
    await low(kitchen, "pineapple")
    await low(kitchen, "ham")
    await becomes(menu_by_kitchen, ALL - {"hawaiian", "meat-lovers"})
    await restored(kitchen, "pineapple")
    await heard(menu_by_kitchen, 3)
    assert await available(menu_by_kitchen) == ALL - {"hawaiian", "meat-lovers"}
    await restored(kitchen, "ham")
    await becomes(menu_by_kitchen, ALL)
    assert sorted(await told(menu_by_kitchen)) == sorted(
        [
            (kind, pizza)
            for kind in ("item_withdrawn", "item_restored")
            for pizza in ("hawaiian", "meat-lovers")
        ]
    )


@pytest.mark.proves("P7")
async def test_stock_does_not_bring_back_what_staff_took_off(menu_by_kitchen: Menu, kitchen: Kitchen) -> None:
    await menu_by_kitchen.patch("hawaiian", 1, available=False)
    await low(kitchen, "pineapple")
    await restored(kitchen, "pineapple")
    await heard(menu_by_kitchen, 2)
    assert "hawaiian" not in await available(menu_by_kitchen)
    assert await told(menu_by_kitchen) == [("item_withdrawn", "hawaiian")]  # by staff
    assert (await menu_by_kitchen.item("hawaiian"))["version"] == 2


@pytest.mark.proves("P7")
async def test_staff_do_not_bring_back_what_stock_took_off(menu_by_kitchen: Menu, kitchen: Kitchen) -> None:
    await menu_by_kitchen.patch("hawaiian", 1, available=False)
    await low(kitchen, "pineapple")
    await heard(menu_by_kitchen, 1)
    answer = await menu_by_kitchen.patch("hawaiian", 2, available=True)
    assert answer.status_code == 200
    assert (answer.json()["available"], answer.json()["short_of"]) == (False, ["pineapple"])
    await restored(kitchen, "pineapple")
    await becomes(menu_by_kitchen, ALL)


async def test_a_pizza_that_gets_a_low_ingredient_is_not_available(
    menu_by_kitchen: Menu, kitchen: Kitchen
) -> None:
    await low(kitchen, "truffle")
    await heard(menu_by_kitchen, 1)
    assert await available(menu_by_kitchen) == ALL
    answer = await menu_by_kitchen.patch("margherita", 1, ingredients=["dough", "mozzarella", "truffle"])
    assert not answer.json()["available"]
    answer = await menu_by_kitchen.patch("margherita", 2, ingredients=["dough", "mozzarella"])
    assert answer.json()["available"]


@pytest.mark.proves("I6")
async def test_what_a_wiped_redis_lost_comes_from_the_feed(
    menu_by_kitchen: Menu, kitchen: Kitchen, own_redis: str
) -> None:
    await low(kitchen, "pineapple")
    await becomes(menu_by_kitchen, ALL - {"hawaiian"})
    async with redis.asyncio.Redis.from_url(own_redis) as client:
        await client.flushdb()
        assert not await client.keys("menu:v1:*")
    await restored(kitchen, "pineapple")
    await becomes(menu_by_kitchen, ALL)
    assert await told(menu_by_kitchen) == [("item_withdrawn", "hawaiian"), ("item_restored", "hawaiian")]
