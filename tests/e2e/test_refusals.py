"""What is refused, how it is said, and that nothing of it is kept."""

from typing import Any

import pytest

from tests.e2e.harness import Pizzeria
from tests.e2e.harness_people import ONE_MARGHERITA

pytestmark = pytest.mark.xdist_group("e2e-full")

GOOD: dict[str, Any] = {"items": ONE_MARGHERITA, "payment": {"token": "tok_approved"}}


def with_item(**changes: Any) -> dict[str, Any]:
    return {**GOOD, "items": [{**ONE_MARGHERITA[0], **changes}]}


@pytest.mark.proves("P3")
@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/items"),
        ({**GOOD, "items": []}, "/items"),
        ({**GOOD, "payment": {"token": "tok_stolen"}}, "/payment/token"),
        ({**GOOD, "priority": "urgent"}, "/priority"),
        ({**GOOD, "scheduled_for": "tomorrow"}, "/scheduled_for"),
        ({**GOOD, "discount": 1}, "/discount"),
        (with_item(size="family"), "/items/0/size"),
        (with_item(quantity=0), "/items/0/quantity"),
        (with_item(quantity=1_000_000), "/items/0/quantity"),
        (with_item(pizza_id="mud"), "/items/0/pizza_id"),
        (with_item(toppings=["gold"]), "/items/0/toppings"),
    ],
)
async def test_bad_input_names_the_field_and_writes_nothing(
    pizzeria: Pizzeria, body: dict[str, Any], pointer: str
) -> None:
    guest = await pizzeria.guest()
    head = await pizzeria.read("order", "/events/head", "service")
    answer = await guest.send_order(body)
    assert answer.status_code == 422, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert [fault for fault in answer.json()["errors"] if fault["pointer"].startswith(pointer)], answer.text
    assert await pizzeria.read("order", "/events/head", "service") == head
    mine = await pizzeria.call("order", "GET", "/orders", token=guest.token)
    assert mine.json()["items"] == []


@pytest.mark.proves("P3")
async def test_a_body_that_is_no_json(pizzeria: Pizzeria) -> None:
    guest = await pizzeria.guest()
    url = pizzeria.back_end.urls["order"][0]
    headers = {"Authorization": f"Bearer {guest.token}", "Content-Type": "application/json"}
    answer = await pizzeria.http.post(f"{url}/orders", content=b"{", headers=headers)
    assert answer.status_code == 400
    assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.proves("P15")
async def test_another_guests_order_is_not_there(pizzeria: Pizzeria) -> None:
    owner, other = await pizzeria.guest(), await pizzeria.guest()
    order = await owner.place()
    for method, path in (("GET", ""), ("GET", "/journey"), ("GET", "/live"), ("POST", "/cancel")):
        answer = await pizzeria.call("order", method, f"/orders/{order['id']}{path}", token=other.token)
        assert answer.status_code == 404, f"{method} {path}: {answer.status_code}"
    assert (await owner.look(order["id"])).status_code == 200
    listed = await pizzeria.call("order", "GET", "/orders", token=other.token)
    assert listed.json()["items"] == []
    await pizzeria.check_invariants()


@pytest.mark.proves("P15")
@pytest.mark.parametrize("service", ["order", "kitchen", "menu", "analytics"])
async def test_what_is_open_to_all(pizzeria: Pizzeria, service: str) -> None:
    documents = ("/docs", "/openapi.json", "/asyncapi.json")
    for path in ("/health/live", "/health/ready", *documents, "/pages/operations"):
        answer = await pizzeria.call(service, "GET", path)
        assert answer.status_code == 200, f"{path}: {answer.status_code}"
