"""Bad input is named field by field, and nothing is written."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from services.order.tests.harness import COOK, MANAGER, ON_POSTGRESQL, Guest, House

JSON = {"Content-Type": "application/json"}
LINE = {"pizza_id": "margherita", "size": "medium", "quantity": 1}
GOOD: dict[str, Any] = {"items": [LINE], "payment": {"token": "tok_approved"}}

# A body, and the pointers at everything that is wrong with it.
BAD: list[tuple[dict[str, Any], list[str]]] = [
    ({}, ["/items", "/payment"]),
    (GOOD | {"items": []}, ["/items"]),
    (GOOD | {"items": [LINE] * 21}, ["/items"]),
    (GOOD | {"items": "margherita"}, ["/items"]),
    (GOOD | {"items": [LINE, {}]}, ["/items/1/pizza_id", "/items/1/size"]),
    (GOOD | {"items": [LINE | {"pizza_id": "No Such"}]}, ["/items/0/pizza_id"]),
    (GOOD | {"items": [LINE | {"pizza_id": "nosuch"}]}, ["/items/0/pizza_id"]),
    (GOOD | {"items": [LINE | {"pizza_id": "calzone"}]}, ["/items/0/pizza_id"]),
    (GOOD | {"items": [LINE | {"size": "huge"}]}, ["/items/0/size"]),
    (GOOD | {"items": [LINE | {"pizza_id": "calzone", "size": "small"}]}, ["/items/0/size"]),
    (GOOD | {"items": [LINE | {"quantity": 0}]}, ["/items/0/quantity"]),
    (GOOD | {"items": [LINE | {"quantity": 51}]}, ["/items/0/quantity"]),
    (GOOD | {"items": [LINE | {"quantity": "2"}]}, ["/items/0/quantity"]),
    (GOOD | {"items": [LINE | {"quantity": 1.5}]}, ["/items/0/quantity"]),
    (GOOD | {"items": [LINE | {"quantity": True}]}, ["/items/0/quantity"]),
    (GOOD | {"items": [LINE | {"toppings": ["olives", "gold"]}]}, ["/items/0/toppings/1"]),
    (GOOD | {"items": [LINE | {"toppings": ["olives"] * 11}]}, ["/items/0/toppings"]),
    (GOOD | {"items": [LINE | {"unit_price": "0.01"}]}, ["/items/0/unit_price"]),
    (GOOD | {"payment": {}}, ["/payment/token"]),
    (GOOD | {"payment": {"token": "4111 1111"}}, ["/payment/token"]),
    (GOOD | {"payment": {"token": "tok_unheard_of"}}, ["/payment/token"]),
    (GOOD | {"payment": {"token": "tok_approved", "cvc": "1"}}, ["/payment/cvc"]),
    (GOOD | {"priority": "royal"}, ["/priority"]),
    (GOOD | {"delivery_address": "x" * 501}, ["/delivery_address"]),
    (GOOD | {"delivery_address": "a\x00b"}, ["/delivery_address"]),
    (GOOD | {"notes": 7}, ["/notes"]),
    (GOOD | {"notes": "\ud800"}, ["/notes"]),
    (GOOD | {"scheduled_for": "tomorrow"}, ["/scheduled_for"]),
    (GOOD | {"scheduled_for": "2999-01-01T00:00:00"}, ["/scheduled_for"]),
    (GOOD | {"scheduled_for": 32503680000}, ["/scheduled_for"]),
    (GOOD | {"scheduled_for": "2001-01-01T00:00:00Z"}, ["/scheduled_for"]),
    (GOOD | {"scheduled_for": "2999-01-01T12:00:00+02:00"}, ["/scheduled_for"]),
    (GOOD | {"scheduled_for": (datetime.now(UTC) - timedelta(seconds=1)).isoformat()}, ["/scheduled_for"]),
    (GOOD | {"scheduled_for": (datetime.now(UTC) + timedelta(days=15)).isoformat()}, ["/scheduled_for"]),
    (GOOD | {"total": "0.01"}, ["/total"]),
    (
        GOOD | {"items": [LINE | {"pizza_id": "nosuch"}], "payment": {"token": "tok_unheard_of"}},
        ["/items/0/pizza_id", "/payment/token"],
    ),
]


@pytest.mark.proves("P3")
async def test_every_wrong_field_of_an_order_is_pointed_at(house: House, guest: Guest) -> None:
    for body, pointers in BAD:
        answer = await guest.post("/orders", content=json.dumps(body), headers=JSON)
        assert answer.status_code == 422, (body, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"
        assert [error["pointer"] for error in answer.json()["errors"]] == pointers, (body, answer.text)
        assert all(error["detail"] for error in answer.json()["errors"])
    assert house.rows("SELECT (SELECT count(*) FROM orders) + (SELECT count(*) FROM outbox)") == [(0,)]


async def test_a_good_order_with_every_field_is_taken(guest: Guest) -> None:
    in_an_hour = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    answer = await guest.post(
        "/orders",
        json=GOOD
        | {
            "priority": "express",
            "delivery_address": "Via Roma 1\nNapoli",
            "scheduled_for": in_an_hour.astimezone(timezone(timedelta(hours=2))).isoformat(),
            "notes": "ring twice",
        },
    )
    assert answer.status_code == 201
    assert answer.json()["scheduled_for"] == in_an_hour.isoformat().replace("+00:00", "Z")
    # What is private stays out of answers and events.
    assert "Napoli" not in answer.text


async def test_what_is_only_sold_out_says_so(guest: Guest) -> None:
    answer = await guest.order(items=[LINE | {"pizza_id": "calzone"}])
    assert answer.json()["type"] == "/problems/pizza-unavailable"


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"[" * 30000])
async def test_an_unparsable_body_is_a_400(house: House, guest: Guest, body: bytes) -> None:
    answer = await guest.post("/orders", content=body, headers=JSON)
    assert answer.status_code == (422 if not body else 400), answer.text
    assert house.rows("SELECT count(*) FROM orders") == [(0,)]


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({}, ["/name"]),
        ({"name": ""}, ["/name"]),
        ({"name": "x" * 101}, ["/name"]),
        ({"name": "Ada", "phone": "call me"}, ["/phone"]),
        ({"name": "Ada", "email": "nowhere"}, ["/email"]),
        ({"name": "Ada", "email": "a\x00@b"}, ["/email"]),
        ({"name": "A\ud800da"}, ["/name"]),
        ({"name": "Ada", "role": "manager"}, ["/role"]),
    ],
)
async def test_bad_sign_ins_are_pointed_at(
    house: House, guest: Guest, body: Any, pointers: list[str]
) -> None:
    answer = await guest.http.post("/sessions", content=json.dumps(body), headers=JSON)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == pointers
    assert house.rows("SELECT count(*) FROM customers") == [(1,)]


@ON_POSTGRESQL
@pytest.mark.proves("P15")
async def test_nobody_sees_or_does_what_is_not_theirs(house: House, guest: Guest) -> None:
    order_id = await guest.placed()
    stranger = await house.guest(guest.http)
    for path in (f"/orders/{order_id}", f"/orders/{order_id}/journey", f"/orders/{order_id}/live"):
        assert (await stranger.get(path)).status_code == 404
        assert (await guest.http.get(path)).status_code == 401
        assert (await guest.http.get(path, headers=COOK)).status_code == 403
    assert (await stranger.get("/orders")).json() == {"items": [], "next": None}
    assert (await guest.http.get(f"/orders/{order_id}", headers=MANAGER)).status_code == 200
    seen = (await guest.http.get("/orders", headers=MANAGER)).json()["items"]
    assert [order["id"] for order in seen] == [order_id]
    assert (await guest.http.post("/orders", headers=MANAGER, json=GOOD)).status_code == 403
    wrong = await guest.http.post("/orders", headers={"Authorization": "Bearer nonsense"}, json=GOOD)
    assert wrong.status_code == 401
    assert (await guest.get("/orders/nonsense")).status_code == 404
    assert (await guest.get("/orders/%00")).status_code == 404
    assert (await guest.get("/orders?after=%00")).status_code == 422
    assert (await guest.get("/events")).status_code == 403
