"""Bad input to the cart is named field by field, and changes nothing."""

import json
from typing import Any

import pytest

from services.order.tests.harness import Guest, House

JSON = {"Content-Type": "application/json"}
LINE: dict[str, Any] = {"pizza_id": "margherita", "size": "medium"}
TERMS: dict[str, Any] = {"payment": {"token": "tok_approved"}}

# Method and path ({} is a line that is there), a body, and the pointers at everything that is wrong with it.
BAD: list[tuple[str, str, dict[str, Any], list[str]]] = [
    ("POST", "/cart/items", {}, ["/pizza_id", "/size"]),
    ("POST", "/cart/items", LINE | {"pizza_id": "nosuch"}, ["/pizza_id"]),
    ("POST", "/cart/items", LINE | {"pizza_id": "No Such"}, ["/pizza_id"]),
    ("POST", "/cart/items", LINE | {"pizza_id": "a\x00b"}, ["/pizza_id"]),
    ("POST", "/cart/items", LINE | {"pizza_id": "calzone"}, ["/pizza_id"]),
    ("POST", "/cart/items", LINE | {"size": "huge"}, ["/size"]),
    ("POST", "/cart/items", LINE | {"pizza_id": "calzone", "size": "small"}, ["/size"]),
    ("POST", "/cart/items", LINE | {"toppings": ["olives", "gold"]}, ["/toppings/1"]),
    ("POST", "/cart/items", LINE | {"toppings": ["olives"] * 11}, ["/toppings"]),
    ("POST", "/cart/items", LINE | {"toppings": ["\ud800"]}, ["/toppings/0"]),
    ("POST", "/cart/items", LINE | {"quantity": 0}, ["/quantity"]),
    ("POST", "/cart/items", LINE | {"quantity": 51}, ["/quantity"]),
    ("POST", "/cart/items", LINE | {"quantity": True}, ["/quantity"]),
    ("POST", "/cart/items", LINE | {"unit_price": "0.01"}, ["/unit_price"]),
    ("PATCH", "/cart/items/{}", {"quantity": 0}, ["/quantity"]),
    ("PATCH", "/cart/items/{}", {"quantity": None}, ["/quantity"]),
    ("PATCH", "/cart/items/{}", {"size": None}, ["/size"]),
    ("PATCH", "/cart/items/{}", {"toppings": ["gold"]}, ["/toppings/0"]),
    ("PATCH", "/cart/items/{}", {"pizza_id": "margherita"}, ["/pizza_id"]),
    ("PATCH", "/cart/items/{}", {"id": "other"}, ["/id"]),
    ("POST", "/cart/checkout", {}, ["/payment"]),
    ("POST", "/cart/checkout", TERMS | {"items": [LINE]}, ["/items"]),
    ("POST", "/cart/checkout", {"payment": {"token": "tok_unheard_of"}}, ["/payment/token"]),
    ("POST", "/cart/checkout", TERMS | {"notes": "x" * 501}, ["/notes"]),
    ("POST", "/cart/checkout", TERMS | {"notes": "bell\x07"}, ["/notes"]),
    ("POST", "/cart/checkout", TERMS | {"delivery_address": "half \udfff"}, ["/delivery_address"]),
    ("POST", "/cart/checkout", TERMS | {"scheduled_for": "2001-01-01T00:00:00Z"}, ["/scheduled_for"]),
]


@pytest.mark.proves("P2", "P15")
async def test_every_wrong_field_is_pointed_at(house: House, guest: Guest) -> None:
    line_id = await guest.add()
    before = await guest.get("/cart")
    for method, path, body, pointers in BAD:
        answer = await guest.http.request(
            method, path.format(line_id), content=json.dumps(body), headers=guest.headers | JSON
        )
        assert answer.status_code == 422, (path, body, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"
        assert [error["pointer"] for error in answer.json()["errors"]] == pointers, (path, body, answer.text)
    after = await guest.get("/cart")
    assert after.json() == before.json()
    assert after.headers["etag"] == before.headers["etag"]
    assert house.rows("SELECT (SELECT count(*) FROM orders) + (SELECT count(*) FROM outbox)") == [(0,)]


@pytest.mark.proves("P15")
async def test_a_header_that_is_none_is_named(guest: Guest) -> None:
    for header, value in (
        ("If-Match", "W/x"),
        ("Idempotency-Key", "x" * 256),
        ("Cart-Token", "x" * 42),
        ("Cart-Token", "x" * 42 + "!"),
    ):
        path, body = ("/cart/merge", None) if header == "Cart-Token" else ("/cart/checkout", TERMS)
        answer = await guest.post(path, json=body, headers={header: value})
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["parameter"].lower() == header.lower()


@pytest.mark.proves("P15")
async def test_a_line_that_cannot_be_is_not_found(guest: Guest) -> None:
    await guest.add()
    for line_id in ("nonsense", "%00", "..%2f..", "x" * 2000):
        assert (await guest.delete(f"/cart/items/{line_id}")).status_code == 404
        assert (await guest.patch(f"/cart/items/{line_id}", {"quantity": 2})).status_code == 404
    assert [line["quantity"] for line in (await guest.cart())["items"]] == [1]


@pytest.mark.proves("P15")
async def test_a_body_that_is_too_large_is_refused(guest: Guest) -> None:
    large = json.dumps(LINE | {"toppings": ["olives" * 20_000]})
    for method, path in (("POST", "/cart/items"), ("PATCH", "/me"), ("POST", "/cart/checkout")):
        answer = await guest.http.request(method, path, content=large, headers=guest.headers | JSON)
        assert answer.status_code == 413
        assert answer.json()["type"] == "/problems/body-too-large"
