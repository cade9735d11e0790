"""Prices follow the menu; while it is away the last good copy serves, up to a stated age."""

import pytest
from pizzeria_contracts.channels import MENU_INVALIDATE
from rediscore.testing import eventually

from services.order.tests.harness import MANAGER, Guest, House


@pytest.mark.proves("P3")
async def test_an_edited_price_counts_at_once(house: House, guest: Guest) -> None:
    before = (await guest.order()).json()["total"]["amount"]
    house.menu.menu["items"][0]["prices"]["medium"]["amount"] = "20.00"
    placed = await guest.until_price("40.00")
    assert before == "25.98"
    assert placed["total"]["amount"] == "40.00"


@pytest.mark.proves("P1")
async def test_a_hint_makes_an_edit_count_before_the_copy_is_old(house: House) -> None:
    guest = await house.guest(await house.open(menu_fresh_seconds=600))
    await guest.order()
    house.menu.menu["items"][0]["prices"]["medium"]["amount"] = "20.00"
    unheard = await guest.order()
    assert unheard.json()["total"]["amount"] == "25.98"

    async def priced_anew() -> bool:
        await house.kitchen.connections.commands.publish(MENU_INVALIDATE, "{}")
        return bool((await guest.order()).json()["total"]["amount"] == "40.00")

    await eventually(priced_anew, every=0.05)


@pytest.mark.proves("P3")
async def test_the_last_good_copy_serves_while_the_menu_is_away(house: House, guest: Guest) -> None:
    assert (await guest.order()).status_code == 201
    house.menu.away = True
    answers = [await guest.order() for _ in range(3)]
    assert [answer.status_code for answer in answers] == [201] * 3
    assert {answer.json()["total"]["amount"] for answer in answers} == {"25.98"}
    ready = await guest.http.get("/health/ready")
    assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
    assert ready.json()["checks"]["menu"]["status"] == "degraded"


@pytest.mark.proves("P3")
async def test_the_last_good_copy_survives_a_restart(house: House, guest: Guest) -> None:
    assert (await guest.order()).status_code == 201
    house.menu.away = True
    other = Guest.of(await house.open(), guest)  # knows the menu from the database alone
    assert (await other.order()).status_code == 201


@pytest.mark.proves("P3")
async def test_a_copy_that_is_too_old_serves_nobody(house: House) -> None:
    guest = await house.guest(await house.open(menu_max_age_seconds=2))
    assert (await guest.order()).status_code == 201
    house.menu.away = True
    answer = await guest.until_refused()
    assert answer.status_code == 503
    assert answer.json()["type"] == "/problems/menu-unavailable"
    assert int(answer.headers["retry-after"]) >= 1
    orders = house.rows("SELECT count(*) FROM orders")
    assert (await guest.order()).status_code == 503
    assert house.rows("SELECT count(*) FROM orders") == orders


async def test_without_any_copy_there_is_nothing_to_price_by(house: House, guest: Guest) -> None:
    house.menu.away = True
    assert (await guest.order()).status_code == 503
    assert (await guest.http.get("/menu")).status_code == 503


async def test_a_menu_that_hangs_holds_up_nobody_for_long(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("order_service.adapters.menu_client.TIMEOUT", 1.0)  # as it is in service
    guest = await house.guest(await house.open())
    assert (await guest.order()).status_code == 201
    house.menu.open.clear()
    answers = [await guest.order() for _ in range(5)]
    assert [answer.status_code for answer in answers] == [201] * 5
    asked = house.menu.asked
    house.menu.open.set()
    assert asked <= 4  # one time-out serves the orders of a second


@pytest.mark.proves("R11", "R20")
async def test_the_breaker_around_the_menu_can_be_watched(house: House, guest: Guest) -> None:
    async def shown() -> list[str]:
        lines = (await guest.http.get("/metrics", headers=MANAGER)).text.splitlines()
        return [line for line in lines if line.startswith("rediscore_breaker_state") and "menu" in line]

    assert await shown() == ['rediscore_breaker_state{name="menu"} 0.0']
    house.menu.away = True
    assert (await guest.order()).status_code == 503
    assert await shown() == ['rediscore_breaker_state{name="menu"} 2.0']
