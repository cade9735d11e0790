"""A guest cancels: before the kitchen knows, while it decides, too late, and at the very moment."""

import asyncio

import pytest

from tests.e2e.harness import Pizzeria
from tests.e2e.harness_invariants import amount
from tests.e2e.harness_people import Guest, Ticket

pytestmark = pytest.mark.xdist_group("e2e-full")


@pytest.mark.proves("P4", "P6", "I2")
async def test_before_the_kitchen_knows_it_is_decided_at_once(pizzeria: Pizzeria) -> None:
    guest = await pizzeria.guest()
    order = await guest.place(pay="tok_timeout")  # pending for as long as the provider keeps quiet
    answer = await guest.cancel(order["id"])
    assert answer.status_code == 200, answer.text
    ended = await pizzeria.reaches(order["id"], "cancelled")
    assert ended["payment"]["captured"] == ended["payment"]["refunded"]
    await pizzeria.check_invariants()
    assert await pizzeria.events(order["id"], "kitchen.events") == []


@pytest.mark.proves("P4", "P6", "I2", "I4")
async def test_while_the_kitchen_decides(pizzeria: Pizzeria) -> None:
    guest = await pizzeria.guest()
    async with pizzeria.paused("kitchen"):
        order = await guest.place()
        await pizzeria.reaches(order["id"], "confirmed")
        for _ in range(2):  # a repeat gets the same kind of answer
            answer = await guest.cancel(order["id"])
            assert answer.status_code == 202, answer.text
            assert answer.json()["cancellation"] == "requested"
        assert (await pizzeria.order(order["id"]))["status"] == "confirmed"
    ended = await pizzeria.reaches(order["id"], "cancelled")
    assert amount(ended["payment"]["refunded"]) == amount(order["total"])
    kitchen = await pizzeria.events(order["id"], "kitchen.events")
    assert kitchen == ["kitchen.ticket_accepted", "kitchen.cancellation_accepted"]
    assert await pizzeria.cook().claim(wait=0) is None
    await pizzeria.check_invariants()


@pytest.mark.proves("P6")
async def test_too_late_when_cooking_has_begun(pizzeria: Pizzeria) -> None:
    guest, cook = await pizzeria.guest(), pizzeria.cook()
    order = await guest.place()
    ticket = await cook.take(order["id"])
    await pizzeria.reaches(order["id"], "cooking")
    answer = await guest.cancel(order["id"])
    assert answer.status_code == 409
    assert answer.json()["type"] == "/problems/too-late-to-cancel"
    assert (await cook.complete(ticket)).is_success
    await pizzeria.reaches(order["id"], "ready")
    await pizzeria.driver().deliver(order["id"])
    await pizzeria.check_invariants()


@pytest.mark.proves("P4", "I1", "I2", "I3")
async def test_a_cancellation_and_a_cook_at_the_same_moment(pizzeria: Pizzeria) -> None:
    """Whoever wins, the order is either cooked and paid or cancelled and refunded."""
    guest, cook = await pizzeria.guest(), pizzeria.cook()
    orders = [(await one_order(pizzeria, guest, cook.station)) for _ in range(6)]
    await pizzeria.check_invariants()
    for order_id, ticket in orders:
        view = await pizzeria.order(order_id)
        assert view["status"] == ("delivered" if ticket else "cancelled")
        assert view["cancellation"] != "requested" or view["status"] == "cancelled"


async def one_order(pizzeria: Pizzeria, guest: Guest, station: str) -> tuple[str, Ticket | None]:
    order = await guest.place()
    await pizzeria.reaches(order["id"], "confirmed")
    cook = pizzeria.cook(station)
    ticket, answer = await asyncio.gather(cook.claim(wait=2), guest.cancel(order["id"]))
    assert answer.status_code in (200, 202, 409)
    if ticket is not None:
        assert (await cook.complete(ticket)).is_success
    return order["id"], ticket
