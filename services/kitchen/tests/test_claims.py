"""Claims: leases, fencing tokens, capacity."""

import asyncio
import time
from functools import partial

import httpx
import pytest
from rediscore.testing import eventually

from services.kitchen.tests.conftest import Make
from services.kitchen.tests.harness import Hands, Kitchens, insist, item


@pytest.mark.proves("I3", "P8")
async def test_a_dead_station_loses_its_ticket_and_its_late_completion_is_refused(
    make_kitchens: Make, database_url: str
) -> None:
    kitchens: Kitchens = await make_kitchens(database_url=database_url, settings={"lease_seconds": 1})
    hands = Hands(await kitchens.open())
    order_id = await kitchens.order()
    dead = await hands.take("oven-1")
    heir = await hands.take("oven-2", wait=10)
    assert heir["ticket_id"] == dead["ticket_id"]
    assert heir["fencing_token"] > dead["fencing_token"]
    for late in (hands.complete, hands.extend, hands.fail):
        answer = await late(dead)
        assert (answer.status_code, answer.json()["type"]) == (409, "/problems/stale-lease")
    for _ in range(2):
        assert (await hands.complete(heir)).status_code == 200
    events = await kitchens.hears(order_id, "kitchen.order_ready")
    completed = [event for event in events if event.type.endswith("ticket_completed.v1")]
    assert [event.data["station_id"] for event in completed] == ["oven-2"]
    assert (await hands.check_stock())["dough"]["consumed"] == 2


@pytest.mark.proves("I8")
async def test_twenty_claims_at_once_never_exceed_the_capacity_of_a_station(
    make_kitchens: Make, database_url: str
) -> None:
    kitchens: Kitchens = await make_kitchens(database_url=database_url)
    replicas = [Hands(await kitchens.open()), Hands(await kitchens.open())]
    # Of different orders: the lock of one order would already keep claims apart.
    for order_id in [await kitchens.order() for _ in range(20)]:
        await kitchens.hears(order_id, "kitchen.ticket_accepted")
    for held in range(3):
        answers = await asyncio.gather(*(replicas[n % 2].claim("oven-1", wait=1) for n in range(20)))
        granted = [answer.json() for answer in answers if answer.status_code == 200]
        refused = [answer for answer in answers if answer.status_code == 409]
        assert len(granted) == 2, held
        assert refused
        assert {answer.status_code for answer in answers} <= {200, 204, 409, 503}
        assert {answer.json()["type"] for answer in refused} == {"/problems/station-full"}
        assert all(int(answer.headers["Retry-After"]) >= 1 for answer in refused)
        assert len((await replicas[1].held())["oven-1"]) == 2
        for ticket in granted:
            assert (await insist(partial(replicas[0].complete, ticket))).status_code == 200
    # Nothing of what was refused is lost: the other stations get all the rest at once.
    others = ("oven-2", "oven-3", "grill-1")
    rest = [await replicas[0].take(station, wait=1) for station in others for _ in range(2)]
    assert len({ticket["ticket_id"] for ticket in rest}) == 6


@pytest.mark.proves("P8")
async def test_a_claim_whose_answer_was_lost_gets_the_same_ticket_again(
    kitchens: Kitchens, hands: Hands
) -> None:
    await kitchens.hears(await kitchens.order(item(quantity=3)), "kitchen.ticket_accepted")
    first = await hands.claim(key="lost")
    assert first.status_code == 200
    assert [(await hands.claim(key="lost")).json() for _ in range(2)] == [first.json()] * 2
    # The key belongs to the station, and both places of this one may be asked for with their own keys.
    other = await hands.claim("oven-2", key="lost")
    assert other.json()["ticket_id"] != first.json()["ticket_id"]
    second = await hands.claim(key="another")
    assert second.json()["ticket_id"] not in (first.json()["ticket_id"], other.json()["ticket_id"])
    assert (await hands.claim(key="lost")).json() == first.json()


@pytest.mark.proves("P8")
async def test_the_same_claim_at_the_same_time_gives_one_ticket(kitchens: Kitchens) -> None:
    replicas = [Hands(await kitchens.open()), Hands(await kitchens.open())]
    await kitchens.hears(await kitchens.order(item(quantity=5)), "kitchen.ticket_accepted")
    answers = await asyncio.gather(*(replicas[n % 2].claim(key="same") for n in range(6)))
    assert [answer.status_code for answer in answers] == [200] * 6
    assert len({answer.json()["ticket_id"] for answer in answers}) == 1
    assert len((await replicas[0].held())["oven-1"]) == 1


async def test_a_waiting_claim_is_woken_by_an_arrival(kitchens: Kitchens, hands: Hands) -> None:
    waiting = asyncio.create_task(hands.claim(wait=20))
    await kitchens.order()
    started = time.monotonic()
    assert (await waiting).status_code == 200
    assert time.monotonic() - started < 3


async def test_an_extended_lease_holds(make_kitchens: Make) -> None:
    kitchens: Kitchens = await make_kitchens(settings={"lease_seconds": 3})
    hands = Hands(await kitchens.open())
    await kitchens.order()
    ticket = await hands.take()
    until = time.monotonic() + 5
    while time.monotonic() < until:
        extended = await hands.extend(ticket)
        assert extended.status_code == 200
        assert extended.json()["lease_until"] > ticket["lease_until"]
        assert (await hands.claim("oven-2", wait=0.3)).status_code == 204
    assert (await hands.complete(ticket)).status_code == 200


@pytest.mark.proves("I8")
async def test_a_lease_that_ran_out_cannot_be_extended_any_more(make_kitchens: Make) -> None:
    kitchens: Kitchens = await make_kitchens(settings={"lease_seconds": 6, "sweep_seconds": 30})
    hands = Hands(await kitchens.open())
    await kitchens.hears(await kitchens.order(item(quantity=3)), "kitchen.ticket_accepted")
    ticket, _ = await hands.take(), await hands.take()
    assert (await hands.claim()).status_code == 409

    async def room_again() -> bool:
        return not (await hands.held())["oven-1"]

    await eventually(room_again, within=40)
    # Redis would still prolong it, as nobody has taken it over; the station may be full meanwhile.
    assert (await hands.extend(ticket)).json()["type"] == "/problems/stale-lease"
    # The pizza is cooked all the same, and nobody else has begun: no reason to throw it away.
    assert (await hands.complete(ticket)).status_code == 200


async def test_a_claim_that_waits_ends_when_the_kitchen_stops(kitchens: Kitchens, hands: Hands) -> None:
    waiting = asyncio.create_task(hands.claim(wait=30))
    await asyncio.wait({waiting}, timeout=0.3)
    started = time.monotonic()
    await kitchens.kitchens.pop().stop()
    assert (await waiting).status_code == 204
    assert time.monotonic() - started < 5


@pytest.mark.proves("P8")
async def test_a_cook_who_hung_up_takes_no_ticket(make_kitchens: Make) -> None:
    kitchens: Kitchens = await make_kitchens(settings={"lease_seconds": 60})
    hands = Hands(await kitchens.open())
    with pytest.raises(httpx.ReadTimeout):
        await hands.claim("oven-1", wait=20, patience=0.3)
    order_id = await kitchens.order()
    ticket = await hands.take("oven-2", wait=25)  # half a lease: nobody's lease has to run out first
    assert ticket["order_id"] == order_id
