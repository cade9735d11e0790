"""What managers change, and what it tells others."""

import asyncio
from typing import Any

import pytest
from pizzeria_chassis.settings import Staff
from pizzeria_chassis.testing import caller
from rediscore.client import RedisConnections
from rediscore.streams import StreamPublisher
from rediscore.testing import eventually, patient_settings

from services.menu.tests.harness import Menu

PRICES = {size: {"amount": amount, "currency": "EUR"} for size, amount in
          (("small", "9.00"), ("medium", "11.00"), ("large", "14.00"))}  # fmt: skip
CALZONE = {
    "name": "Calzone",
    "prices": PRICES,
    "toppings": ["olives"],
    "ingredients": ["dough", "tomato-sauce", "ham"],
    "preparation_seconds": 500,
}
SEEDED = 6


async def kinds(menu: Menu) -> list[str]:
    """The types of what the menu has told since it was seeded, without prefix and version."""
    return [event.type.split(".")[-2] for event in await menu.told(after=SEEDED)]


@pytest.mark.proves("P15")
async def test_nobody_without_a_token_changes_anything(menu: Menu) -> None:
    for answer in (
        await menu.guest.patch("/menu/margherita", json={"name": "Mine"}, headers={"If-Match": '"1"'}),
        await menu.guest.put("/menu/calzone", json=CALZONE),
        await menu.guest.delete("/menu/margherita", headers={"If-Match": '"1"'}),
    ):
        assert answer.status_code == 401
        assert answer.json()["type"] == "/problems/unauthenticated"
    assert (await menu.item("margherita"))["version"] == 1
    assert await kinds(menu) == []


@pytest.mark.proves("P15")
@pytest.mark.parametrize("role", ["cook", "driver", "service"])
async def test_nobody_but_a_manager_changes_anything(menu: Menu, role: Staff) -> None:
    async with caller(menu.app, role) as somebody:
        answer = await somebody.patch("/menu/margherita", json={"name": "Mine"}, headers={"If-Match": '"1"'})
    assert answer.status_code == 403
    assert (await menu.item("margherita"))["name"] == "Margherita"


@pytest.mark.proves("P1")
async def test_a_change_makes_a_version_and_exactly_one_event(any_menu: Menu, own_redis: str) -> None:
    answer = await any_menu.patch("margherita", 1, prices={"medium": {"amount": "13.49", "currency": "EUR"}})
    assert answer.status_code == 200
    assert answer.headers["etag"] == '"2"'
    assert answer.json()["prices"]["medium"]["amount"] == "13.49"
    assert answer.json()["prices"]["small"]["amount"] == "10.39"
    assert await any_menu.item("margherita") == answer.json() == await any_menu.listed("margherita")

    told = await any_menu.told(after=SEEDED)
    assert [event.type for event in told] == ["pizzeria.menu.item_changed.v1"]
    assert (told[0].subject, told[0].sequence, told[0].position) == ("margherita", 2, 7)
    assert told[0].data["version"] == 2
    assert told[0].data["prices"]["medium"] == "13.49"
    connections = RedisConnections(patient_settings(own_redis))
    publisher = StreamPublisher(connections)

    async def on_the_stream() -> bool:
        last = await publisher.last_event("menu.events")
        return last is not None and last.id == told[0].id

    await eventually(on_the_stream, what="the event is on the stream")
    assert await connections.commands.xlen("menu.events") == SEEDED + 1
    await connections.aclose()


async def test_a_change_that_changes_nothing_is_none(menu: Menu) -> None:
    for fields in ({}, {"name": "Margherita", "available": True}):
        answer = await menu.patch("margherita", 1, **fields)
        assert answer.status_code == 200
        assert answer.headers["etag"] == '"1"'
    assert await kinds(menu) == []


@pytest.mark.parametrize(
    ("header", "status", "slug"),
    [
        ({}, 428, "version-required"),
        ({"If-Match": '"0"'}, 412, "version-mismatch"),
        ({"If-Match": '"2"'}, 412, "version-mismatch"),
        ({"If-Match": 'W/"1"'}, 412, "version-mismatch"),
        ({"If-Match": "nonsense"}, 412, "version-mismatch"),
    ],
)
async def test_who_has_not_seen_the_pizza_does_not_change_it(
    any_menu: Menu, header: dict[str, str], status: int, slug: str
) -> None:
    for answer in (
        await any_menu.manager.patch("/menu/margherita", json={"name": "Mine"}, headers=header),
        await any_menu.manager.put("/menu/margherita", json=CALZONE, headers=header),
        await any_menu.manager.delete("/menu/margherita", headers=header),
    ):
        assert answer.status_code == status
        assert answer.json()["type"] == f"/problems/{slug}"
    assert (await any_menu.item("margherita"))["version"] == 1
    assert await kinds(any_menu) == []


@pytest.mark.parametrize("header", ['"1"', "1", '"7", "1"', "*"])
async def test_who_has_seen_it_does(menu: Menu, header: str) -> None:
    answer = await menu.manager.patch(
        "/menu/margherita", json={"name": "Queen"}, headers={"If-Match": header}
    )
    assert answer.status_code == 200


async def test_of_two_who_change_the_same_version_one_wins(any_menu: Menu) -> None:
    answers = await asyncio.gather(*(any_menu.patch("margherita", 1, name=f"Name {n}") for n in range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] + [412] * 7
    winner = next(answer for answer in answers if answer.status_code == 200)
    assert (await any_menu.item("margherita"))["name"] == winner.json()["name"]
    assert await kinds(any_menu) == ["item_changed"]


async def test_staff_take_a_pizza_off_and_put_it_back(any_menu: Menu) -> None:
    await any_menu.patch("margherita", 1, available=False)
    await any_menu.patch("margherita", 2, available=True)
    told = await any_menu.told(after=SEEDED)
    assert [event.type.split(".")[-2] for event in told] == ["item_withdrawn", "item_restored"]
    assert [event.data for event in told] == [{"version": 2, "reason": "staff"}, {"version": 3}]


async def test_a_change_of_price_and_availability_is_one_event_that_says_both(any_menu: Menu) -> None:
    await any_menu.patch("margherita", 1, available=False, name="Regina")
    (event,) = await any_menu.told(after=SEEDED)
    assert event.type == "pizzeria.menu.item_changed.v1"
    assert (event.data["available"], event.data["name"]) == (False, "Regina")


async def test_add_replace_remove_and_add_again(any_menu: Menu) -> None:
    added = await any_menu.manager.put("/menu/calzone", json=CALZONE, headers={"If-None-Match": "*"})
    assert (added.status_code, added.headers["etag"]) == (201, '"1"')
    assert await any_menu.listed("calzone") == added.json()

    again = await any_menu.manager.put("/menu/calzone", json=CALZONE, headers={"If-None-Match": "*"})
    assert again.status_code == 412
    replaced = await any_menu.manager.put(
        "/menu/calzone", json=CALZONE | {"name": "Calzone grande"}, headers={"If-Match": '"1"'}
    )
    assert (replaced.status_code, replaced.headers["etag"]) == (200, '"2"')

    removed = await any_menu.manager.delete("/menu/calzone", headers={"If-Match": '"2"'})
    assert removed.status_code == 204
    assert (await any_menu.guest.get("/menu/calzone")).status_code == 404
    assert await any_menu.listed("calzone") is None
    assert (await any_menu.patch("calzone", 3, name="Ghost")).status_code == 404

    back = await any_menu.manager.put("/menu/calzone", json=CALZONE)
    assert (back.status_code, back.headers["etag"]) == (201, '"4"')  # versions go on
    told = await any_menu.told(after=SEEDED)
    assert [(event.type.split(".")[-2], event.sequence) for event in told] == [
        ("item_changed", 1), ("item_changed", 2), ("item_withdrawn", 3), ("item_changed", 4),
    ]  # fmt: skip
    assert told[2].data == {"version": 3, "reason": "deleted"}


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"nmae": "Typo"}, "/nmae"),
        ({"name": " "}, "/name"),
        ({"name": None}, "/name"),
        ({"available": "perhaps"}, "/available"),
        ({"prices": {"medium": {"amount": "0.00"}}}, "/prices/medium"),
        ({"prices": {"medium": {"amount": 12.5}}}, "/prices/medium/amount"),
        ({"prices": {"medium": {"amount": "12.999"}}}, "/prices/medium/amount"),
        ({"prices": {"medium": {"amount": "12.99", "currency": "USD"}}}, "/prices/medium/currency"),
        ({"prices": {"huge": {"amount": "12.99"}}}, "/prices/huge/[key]"),
        ({"toppings": ["olives", "gold"]}, "/toppings/1"),
        ({"toppings": ["olives", "olives"]}, "/toppings"),
        ({"ingredients": []}, "/ingredients"),
        ({"ingredients": ["Fresh Dough"]}, "/ingredients/0"),
        ({"preparation_seconds": 0}, "/preparation_seconds"),
    ],
)
async def test_bad_input_is_refused_by_name_and_nothing_is_written(
    menu: Menu, body: dict[str, Any], pointer: str
) -> None:
    answer = await menu.manager.patch("/menu/margherita", json=body, headers={"If-Match": '"1"'})
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert (await menu.item("margherita"))["version"] == 1
    assert await kinds(menu) == []


async def test_a_body_that_is_no_json(menu: Menu) -> None:
    answer = await menu.manager.patch(
        "/menu/margherita",
        content=b"{",
        headers={"If-Match": '"1"', "Content-Type": "application/json"},
    )
    assert answer.status_code == 400
