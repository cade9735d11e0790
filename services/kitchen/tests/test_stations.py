"""Stations: skills, duty, arranging them, and whether the estimates come true."""

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import pytest
from rediscore.testing import eventually

from services.kitchen.tests.conftest import Make
from services.kitchen.tests.harness import Hands, Kitchens, item

OVENS = ("oven-1", "oven-2", "oven-3")


async def arrange(hands: Hands, station: str, **what: Any) -> httpx.Response:
    return await hands.client.put(f"/stations/{station}", json={"capacity": 2, **what})


async def station(hands: Hands, name: str) -> dict[str, Any]:
    items = (await hands.client.get("/stations")).json()["items"]
    found: dict[str, Any] = next(item for item in items if item["station_id"] == name)
    return found


@pytest.mark.proves("P8")
async def test_a_station_gets_only_what_it_can_cook_and_one_that_can_do_all_gets_all_in_turn(
    kitchens: Kitchens, hands: Hands
) -> None:
    for name in OVENS:
        assert (await arrange(hands, name, skills=["oven"])).status_code == 200
    wanted = ["bbq-chicken", "margherita", "meat-lovers", "hawaiian"]
    for pizza in wanted:
        await kitchens.hears(await kitchens.order(item(pizza)), "kitchen.ticket_accepted")
    oven = [await hands.take("oven-1"), await hands.take("oven-1")]
    assert [ticket["pizza"] for ticket in oven] == ["margherita", "hawaiian"]
    assert (await hands.claim("oven-2", wait=0.3)).status_code == 204
    for ticket in oven:
        await hands.fail(ticket)  # back into the queue, after a pause
    grill = [await hands.take("grill-1", wait=0), await hands.take("grill-1", wait=0)]
    assert [ticket["pizza"] for ticket in grill] == ["bbq-chicken", "meat-lovers"]


@pytest.mark.proves("P8", "I8")
async def test_express_goes_first_across_skills_and_each_ticket_goes_to_one_station(
    kitchens: Kitchens, hands: Hands
) -> None:
    orders = [("bbq-chicken", "standard"), ("margherita", "standard"), ("margherita", "express"),
              ("meat-lovers", "express")]  # fmt: skip
    for pizza, priority in orders:
        await kitchens.hears(await kitchens.order(item(pizza), priority=priority), "kitchen.ticket_accepted")
    taken = [await hands.take(name, wait=0) for name in (*OVENS, "grill-1")]
    assert [(t["pizza"], t["priority"]) for t in taken] == [*orders[2:], *orders[:2]]
    # Eight claims wait at once for tickets of both skills: each ticket is given once, none is lost.
    for ticket in taken:
        await hands.complete(ticket)
    waiting = [asyncio.create_task(hands.claim(name, wait=10)) for name in (*OVENS, "grill-1") * 2]
    await asyncio.sleep(0.2)
    await kitchens.order(*(item(pizza, quantity=2) for pizza in ("margherita", "bbq-chicken", "hawaiian")))
    await kitchens.order(item("meat-lovers", quantity=2))
    answers = await asyncio.gather(*waiting)
    assert [answer.status_code for answer in answers] == [200] * 8
    assert len({answer.json()["ticket_id"] for answer in answers}) == 8


async def test_a_closed_station_gets_nothing_and_cooks_what_it_has(kitchens: Kitchens, hands: Hands) -> None:
    await kitchens.order(item(quantity=2))
    held = await hands.take("oven-1")
    assert (await arrange(hands, "oven-1", open=False)).json()["open"] is False
    refused = await hands.claim("oven-1", wait=0)
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/station-closed")
    assert (await hands.complete(held)).status_code == 200
    assert (await station(hands, "oven-1"))["health"] == "closed"
    assert (await arrange(hands, "oven-1")).status_code == 200
    await hands.take("oven-1")


@pytest.mark.proves("I8")
async def test_a_station_does_not_shrink_below_what_it_holds(kitchens: Kitchens, hands: Hands) -> None:
    await kitchens.order(item(quantity=2))
    for _ in range(2):
        await hands.take("oven-1")
    refused = await arrange(hands, "oven-1", capacity=1)
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/station-busy")
    assert (await station(hands, "oven-1"))["capacity"] == 2


async def test_who_may_arrange_and_what_is_refused(kitchens: Kitchens, hands: Hands) -> None:
    cook = kitchens.client(str(hands.client.base_url), "cook")
    assert (await cook.put("/stations/oven-1", json={"capacity": 3})).status_code == 403
    assert (await arrange(hands, "wood-fire", capacity=3)).status_code == 201
    wrongs: list[tuple[dict[str, Any], str]] = [
        ({"capacity": 0}, "/capacity"),
        ({"skills": ["dance"]}, "/skills"),
        ({"skills": []}, "/skills"),
    ]
    for wrong, pointer in wrongs:
        answer = await arrange(hands, "oven-1", **wrong)
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["pointer"].startswith(pointer)
    assert (await arrange(hands, "Wood Fire")).status_code == 422


@pytest.mark.proves("P9")
async def test_the_display_says_who_works_where_what_is_late_and_who_is_silent(
    make_kitchens: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kitchen_service.domain.estimate.TYPICAL_COOKING", timedelta(milliseconds=50))
    kitchens: Kitchens = await make_kitchens()
    hands = Hands(await kitchens.open())
    assert (await station(hands, "oven-1"))["health"] == "silent"
    assert (await hands.claim("oven-1", wait=0)).status_code == 204
    assert (await station(hands, "oven-1"))["health"] == "waiting"
    await kitchens.order(item(quantity=2))
    ticket = await hands.take("oven-1")

    async def late() -> bool:
        cooking = await station(hands, "oven-1")
        waiting = (await hands.client.get("/queue")).json()["items"]
        assert (cooking["health"], cooking["tickets"][0]["ticket_id"]) == ("working", ticket["ticket_id"])
        assert waiting[0]["promised_at"] == cooking["tickets"][0]["promised_at"]
        return bool(cooking["tickets"][0]["late"] and waiting[0]["late"])

    await eventually(late, within=40, every=0.05)


@pytest.mark.proves("P8")
async def test_the_estimate_is_compared_with_what_then_happened(
    kitchens: Kitchens, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kitchen_service.bootstrap.ESTIMATES_SECONDS", 0.2)
    hands = Hands(await kitchens.open())
    assert (await hands.client.get("/estimates")).json()["mean_absolute_error_seconds"] is None
    order_id = await kitchens.order()
    (accepted,) = await kitchens.hears(order_id, "kitchen.ticket_accepted")
    await hands.complete(await hands.take())
    ready = next(
        event
        for event in await kitchens.hears(order_id, "kitchen.order_ready")
        if "order_ready" in event.type
    )
    found = (await hands.client.get("/estimates")).json()
    told = ready.time.fromisoformat(accepted.data["estimated_ready_at"])
    assert found["orders"] == 1
    assert found["bias_seconds"] == pytest.approx((ready.time - told).total_seconds(), abs=1)
    assert found["mean_absolute_error_seconds"] == pytest.approx(-found["bias_seconds"])
    assert 0 < found["typical_cooking_seconds"] < 60

    async def in_metrics() -> bool:
        text = (await hands.client.get("/metrics")).text
        return f"kitchen_estimate_bias_seconds {found['bias_seconds']}" in text

    await eventually(in_metrics, within=40, every=0.05)


@pytest.mark.proves("P7")
async def test_recipes_say_what_goes_into_each_size(hands: Hands) -> None:
    recipes = {r["pizza_id"]: r for r in (await hands.client.get("/inventory/recipes")).json()["items"]}
    assert recipes["pepperoni"]["portions"]["large"]["pepperoni"] == 6
    assert recipes["pepperoni"]["portions"]["small"]["pepperoni"] == 2
    assert recipes["bbq-chicken"]["skill"] == "grill"
