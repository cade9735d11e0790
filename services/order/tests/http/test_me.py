"""What is kept about a guest: shown, corrected, handed over, deleted."""

import asyncio
import json
from typing import Any

import pytest
from order_service.adapters.sql_profiles import NOBODY
from order_service.adapters.tables import metadata

from services.order.tests.harness import MANAGER, ON_BOTH_DATABASES, ON_POSTGRESQL, Guest, House

PERSONAL = ("Ada Lovelace", "+44 20 7946", "ada@example.org", "Via Roma 1", "the blue door")


async def ada(house: House) -> Guest:
    http = await house.open()
    body = {"name": PERSONAL[0], "phone": PERSONAL[1], "email": PERSONAL[2]}
    return Guest(http, (await http.post("/sessions", json=body)).json())


def everything(house: House) -> str:
    """All that the database holds, as text."""
    tables = [table.name for table in metadata.sorted_tables] + ["outbox"]
    return "\n".join(repr(house.rows(f"SELECT * FROM {name}")) for name in tables)  # noqa: S608


@pytest.mark.proves("P2")
async def test_a_profile_is_corrected_field_by_field(house: House) -> None:
    guest = await ada(house)
    changed = await guest.patch("/me", {"name": "Ada King", "phone": None})
    assert changed.status_code == 200
    me = (await guest.get("/me")).json()
    assert me == changed.json()
    assert (me["name"], me["phone"], me["email"]) == ("Ada King", None, PERSONAL[2])
    assert (await guest.patch("/me", {})).json() == me


BAD: list[tuple[dict[str, Any], str]] = [
    ({"name": None}, "/name"),
    ({"name": ""}, "/name"),
    ({"name": "x" * 101}, "/name"),
    ({"name": "two\nlines"}, "/name"),
    ({"name": "half \ud800 pair"}, "/name"),
    ({"email": "nul\x00@example.org"}, "/email"),
    ({"phone": "x"}, "/phone"),
    ({"id": "mine"}, "/id"),
    ({"created_at": "2001-01-01T00:00:00Z"}, "/created_at"),
]


@pytest.mark.proves("P2", "P15")
async def test_a_wrong_correction_changes_nothing(guest: Guest) -> None:
    before = (await guest.get("/me")).json()
    headers = guest.headers | {"Content-Type": "application/json"}
    for body, pointer in BAD:
        answer = await guest.http.patch("/me", content=json.dumps(body), headers=headers)
        assert answer.status_code == 422, body
        assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert (await guest.get("/me")).json() == before


@ON_POSTGRESQL
@pytest.mark.proves("P2")
async def test_the_export_holds_all_and_no_token(house: House) -> None:
    guest = await ada(house)
    order_id = await guest.placed(delivery_address=PERSONAL[3], notes=PERSONAL[4])
    await guest.add(quantity=3)
    other = await house.guest(guest.http)
    await other.placed(notes="not hers")
    exported = await guest.get("/me/export")
    document = exported.json()
    assert [document["profile"][field] for field in ("name", "phone", "email")] == list(PERSONAL[:3])
    (order,) = document["orders"]
    assert (order["id"], order["delivery_address"], order["notes"]) == (order_id, *PERSONAL[3:])
    assert order["total"] == {"amount": "25.98", "currency": "EUR"}
    assert len(document["sessions"]) == 1
    assert [(line["quantity"], line["quote"]) for line in document["cart"]] == [(3, "12.99")]
    assert "not hers" not in exported.text
    assert guest.headers["Authorization"].split()[1] not in exported.text


@ON_BOTH_DATABASES
@pytest.mark.proves("P2")
async def test_after_a_deletion_nothing_personal_is_left(house: House) -> None:
    guest = await ada(house)
    stays = await house.guest(guest.http)
    await stays.placed()
    elsewhere = Guest.of(await house.open(), guest)
    placed = await guest.order(key="k", delivery_address=PERSONAL[3], notes=PERSONAL[4])
    order_id = placed.json()["id"]
    await guest.until_delivered(house, order_id)
    await guest.add()
    assert all(text in everything(house) for text in PERSONAL)

    assert (await guest.delete("/me")).status_code == 204
    left = everything(house)
    assert not [text for text in PERSONAL if text in left]
    assert house.rows("SELECT customer_id FROM idempotency") == []
    for table in ("mailbox", "notices_due"):
        assert house.rows(f"SELECT order_id FROM {table} WHERE order_id = ?", order_id) == []  # noqa: S608
    for replica in (guest, elsewhere):
        assert (await replica.get("/me")).status_code == 401
        assert (await replica.delete("/me")).status_code == 401
    owners = house.rows("SELECT customer_id FROM orders WHERE id = ?", order_id)
    assert owners == [(NOBODY,)]
    kept = (await guest.http.get(f"/orders/{order_id}", headers=MANAGER)).json()
    assert kept["payment"]["captured"] == kept["total"] == {"amount": "25.98", "currency": "EUR"}
    assert (await stays.get("/orders")).json()["items"]
    redis: Any = house.kitchen.connections.commands
    assert not [key async for key in redis.scan_iter(f"*{guest.id}*")]


@pytest.mark.proves("P2")
async def test_a_guest_with_an_order_under_way_is_not_deleted(house: House) -> None:
    guest = await ada(house)
    await guest.placed()
    refused = await guest.delete("/me")
    assert refused.status_code == 409
    assert refused.json()["type"] == "/problems/conflict"
    assert (await guest.get("/me")).json()["name"] == PERSONAL[0]


@ON_BOTH_DATABASES
@pytest.mark.proves("P2")
async def test_an_order_placed_while_its_guest_is_deleted_is_whole_or_refused(house: House) -> None:
    first, second = await house.open(), await house.open()
    for _ in range(5):
        guest = await house.guest(first)
        there = Guest.of(second, guest)
        order, deletion = await asyncio.gather(
            there.order(notes=PERSONAL[4]), guest.delete("/me"), return_exceptions=False
        )
        assert (order.status_code, deletion.status_code) in ((201, 409), (401, 204)), order.text
        known = house.rows("SELECT count(*) FROM customers WHERE id = ?", guest.id)
        assert known == [(int(order.status_code == 201),)]
    assert house.rows("SELECT count(*) FROM orders WHERE customer_id = ?", NOBODY) == [(0,)]
