"""Guests are told of their orders: by tasks, each thing once, and nothing is lost with Redis."""

from typing import Any

import pytest
from order_service.domain.notices import SUBJECTS, Notice
from order_service.domain.states import Status
from pizzeria_contracts.events import TicketRejected
from rediscore.keys import KeySpace
from rediscore.settings import RedisSettings
from rediscore.tasks import Tasks
from rediscore.tasks.message import Message
from rediscore.testing import eventually
from rediscore.testing.proxy import FaultProxy

from services.order.tests.harness import COOK, MANAGER, ON_BOTH_DATABASES, ON_POSTGRESQL, Guest, House

FAST_ROAD_ALONE = {"notice_patience_seconds": 3600}


async def letters(guest: Guest, expected: list[str], within: float = 40) -> list[dict[str, Any]]:
    """The mailbox, oldest first, once these have arrived."""

    async def arrived() -> list[dict[str, Any]]:
        found = (await guest.get("/me/mailbox?limit=100")).json()["items"][::-1]
        return found if len(found) >= len(expected) else []

    found: list[dict[str, Any]] = await eventually(arrived, within=within, every=0.05)
    assert [letter["kind"] for letter in found] == expected
    return found


@ON_POSTGRESQL
@pytest.mark.proves("P14", "R17")
async def test_a_guest_is_told_of_every_turn_of_an_order(house: House) -> None:
    guest = await house.guest(await house.open(**FAST_ROAD_ALONE))
    order_id = await guest.placed(delivery_address="Via Roma 1", notes="ring twice")
    await guest.until_delivered(house, order_id)
    told = await letters(guest, ["confirmed", "cooking", "ready", "delivering", "delivered"])
    assert {letter["order_id"] for letter in told} == {order_id}
    receipt = told[0]["content"]
    assert receipt == {
        "subject": SUBJECTS[Notice.CONFIRMED],
        "lines": [
            {
                "pizza_id": "margherita",
                "size": "medium",
                "toppings": [],
                "quantity": 2,
                "unit_price": {"amount": "12.99", "currency": "EUR"},
                "amount": {"amount": "25.98", "currency": "EUR"},
            }
        ],
        "total": {"amount": "25.98", "currency": "EUR"},
        "paid": {"amount": "25.98", "currency": "EUR"},
    }
    assert house.rows("SELECT count(*) FROM notices_due") == [(0,)]
    assert "Via Roma" not in str(told)


@pytest.mark.proves("P14")
async def test_a_guest_is_told_why_there_will_be_no_pizza(house: House) -> None:
    guest = await house.guest(await house.open(**FAST_ROAD_ALONE))
    await guest.placed("tok_declined")
    (declined,) = await letters(guest, ["payment_declined"])
    assert declined["content"]["reason"] == "payment-declined"
    order_id = await guest.placed()
    await guest.until_status(order_id, "confirmed")
    await house.kitchen.tell(order_id, TicketRejected(reason="out-of-stock"))
    *_, cancelled = await letters(guest, ["payment_declined", "confirmed", "cancelled"])
    assert cancelled["content"] == {
        "subject": SUBJECTS[Notice.CANCELLED],
        "reason": "out-of-stock",
        "refunded": {"amount": "25.98", "currency": "EUR"},
        "refund_pending": False,
    }


@pytest.mark.proves("P14")
async def test_the_mailbox_comes_in_pages_and_is_ones_own(house: House) -> None:
    guest = await house.guest(await house.open(**FAST_ROAD_ALONE))
    other = await house.guest(guest.http)
    for _ in range(3):
        await guest.placed("tok_declined")
    everything = (await letters(guest, ["payment_declined"] * 3))[::-1]
    first = (await guest.get("/me/mailbox?limit=2")).json()
    assert first["items"] == everything[:2]
    second = (await guest.get(f"/me/mailbox?limit=2&after={first['next']}")).json()
    assert second == {"items": everything[2:], "next": None}
    assert (await other.get("/me/mailbox")).json() == {"items": [], "next": None}
    assert (await guest.http.get("/me/mailbox")).status_code == 401
    for staff in (COOK, MANAGER):
        assert (await guest.http.get("/me/mailbox", headers=staff)).status_code == 403
    for query in ("limit=0", "limit=101", "after=%00"):
        assert (await guest.get(f"/me/mailbox?{query}")).status_code == 422
    exported = (await guest.get("/me/export")).json()["mailbox"]
    assert sorted(letter["id"] for letter in exported) == sorted(letter["id"] for letter in everything)


@ON_BOTH_DATABASES
@pytest.mark.proves("P14")
async def test_put_on_the_road_again_and_again_each_notice_arrives_once(house: House) -> None:
    hasty = {"notice_patience_seconds": 0.02}
    guest = await house.guest(await house.open(**hasty))
    second = Guest.of(await house.open(**hasty), guest)
    ids = [await (guest, second)[n % 2].placed("tok_declined") for n in range(6)]
    told = await letters(guest, ["payment_declined"] * 6)
    assert sorted(letter["order_id"] for letter in told) == sorted(ids)
    await eventually(lambda: house.rows("SELECT count(*) FROM notices_due") == [(0,)])
    assert house.rows("SELECT count(*) FROM mailbox") == [(6,)]


@pytest.mark.proves("P14")
async def test_what_redis_never_got_or_lost_arrives_from_sql(house: House, fault_proxy: FaultProxy) -> None:
    through = house.redis.model_copy(update={"host": "127.0.0.1", "port": fault_proxy.port})
    redis = RedisSettings.model_validate(through)
    guest = await house.guest(await house.open(redis=redis, notice_patience_seconds=0.3))
    fault_proxy.cut()
    order_id = await guest.placed("tok_declined")
    await guest.until_status(order_id, "cancelled")
    assert house.rows("SELECT kind FROM notices_due") == [("payment_declined",)]
    assert (await guest.get("/me/mailbox")).json()["items"] == []
    await house.kitchen.connections.commands.flushdb()
    fault_proxy.restore()
    await letters(guest, ["payment_declined"])


def due(order_id: str, letter_id: str) -> tuple[str, tuple[object, ...]]:
    """The statement after which a guest is to be told that an order is ready."""
    then = "2026-01-01 00:00:00"
    return "INSERT INTO notices_due VALUES (?, ?, ?, ?, ?)", (order_id, "ready", letter_id, then, then)


@pytest.mark.proves("P14", "R17")
async def test_a_notice_that_cannot_be_written_is_a_dead_letter_and_holds_up_no_other(house: House) -> None:
    http = await house.open(notice_retry_seconds=0.01, **FAST_ROAD_ALONE)
    guest = await house.guest(http)
    poisonous, other = [await guest.placed("tok_declined") for _ in range(2)]
    await letters(guest, ["payment_declined"] * 2)
    # Both are to be told once more, and what one of them is to be told cannot be read.
    await house.write(
        ("UPDATE orders SET items = '[{}]' WHERE id = ?", (poisonous,)),
        *(due(order_id, f"letter-of-{order_id}"[:36]) for order_id in (poisonous, other)),
    )
    queue = Tasks(house.kitchen.connections, "tasks", keys=KeySpace("order")).queue
    batch = [[poisonous, "ready"], [other, "ready"]]
    await queue.add("both", Message("notices", [batch], {}).encode(), priority="standard")

    async def arrived() -> bool:
        return house.rows("SELECT order_id FROM mailbox WHERE kind = 'ready'") == [(other,)]

    await eventually(arrived, within=40, every=0.05)

    async def dead() -> list[dict[str, Any]]:
        answer = await http.get("/ops/tasks/calls?state=dead", headers=MANAGER)
        assert answer.status_code == 200, answer.text
        calls: list[dict[str, Any]] = answer.json()["items"]
        return calls

    (letter,) = await eventually(dead, within=40, every=0.1)
    assert letter["id"] == f"notice:{poisonous}:ready"
    assert house.rows("SELECT order_id FROM notices_due") == [(poisonous,)]


@pytest.mark.proves("P14")
async def test_the_sweep_brings_no_dead_notice_back(house: House) -> None:
    http = await house.open(notice_retry_seconds=0.01, notice_patience_seconds=0.1)
    guest = await house.guest(http)
    order_id = await guest.placed("tok_declined")
    await letters(guest, ["payment_declined"])
    await house.write(("UPDATE orders SET items = '[{}]'", ()), due(order_id, "letter"))

    async def dead() -> bool:
        calls = (await http.get("/ops/tasks/calls?state=dead", headers=MANAGER)).json()["items"]
        return [call["id"] for call in calls] == [f"notice:{order_id}:ready"]

    await eventually(dead, within=40, every=0.1)
    sent = "SELECT sent_at FROM notices_due"
    before = house.rows(sent)
    await eventually(lambda: house.rows(sent) != before, within=40)  # swept once more
    assert await dead()


@pytest.mark.parametrize("status", [status for status in Status if status is not Status.PENDING])
def test_every_turn_has_a_notice(status: Status) -> None:
    assert Notice(status) in SUBJECTS


def test_every_notice_has_a_subject() -> None:
    assert set(SUBJECTS) == set(Notice)
