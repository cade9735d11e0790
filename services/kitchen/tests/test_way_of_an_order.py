"""One order through the kitchen: from paid to delivered, and the ways on which it ends early."""

from datetime import UTC, datetime, timedelta

import httpx
import pytest
from pizzeria_contracts.events import MenuItemChanged
from pizzeria_contracts.streams import ORDERS

from services.kitchen.tests.conftest import Make
from services.kitchen.tests.harness import Hands, Kitchens, confirmed, item


@pytest.mark.proves("P8", "P10")
async def test_an_order_is_cooked_and_delivered(kitchens: Kitchens, hands: Hands) -> None:
    order_id = await kitchens.order(item(quantity=2))
    tickets = [await hands.take(), await hands.take()]
    assert {t["order_id"] for t in tickets} == {order_id}
    assert tickets[0]["fencing_token"] < tickets[1]["fencing_token"]
    assert tickets[0]["pizza"] == "margherita"
    for ticket in tickets:
        assert (await hands.complete(ticket)).json()["status"] == "completed"
    ready = (await hands.client.get("/deliveries")).json()["items"]
    assert [(d["order_id"], d["status"]) for d in ready] == [(order_id, "ready")]

    started = await hands.client.post(f"/deliveries/{order_id}/start", json={"driver_id": "ada"})
    assert (started.status_code, started.json()["status"]) == (200, "delivering")
    arrived = await hands.client.post(f"/deliveries/{order_id}/complete")
    assert (arrived.status_code, arrived.json()["status"]) == (200, "delivered")
    assert (await hands.client.get("/deliveries")).json()["items"] == []

    events = await kitchens.hears(order_id, "delivery.completed")
    assert await kitchens.told(order_id) == [
        "kitchen.ticket_accepted",
        "kitchen.ticket_started",
        "kitchen.ticket_started",
        "kitchen.ticket_completed",
        "kitchen.ticket_completed",
        "kitchen.order_ready",
        "delivery.started",
        "delivery.completed",
    ]
    assert [event.sequence for event in events] == list(range(1, 9))
    assert sorted(events[0].data["tickets"]) == sorted(t["ticket_id"] for t in tickets)
    assert events[-1].data == {"driver_id": "ada"}
    dough = (await hands.check_stock())["dough"]
    assert (dough["reserved"], dough["consumed"]) == (0, 4)


@pytest.mark.proves("P8")
async def test_an_event_that_comes_again_makes_no_second_tickets(kitchens: Kitchens, hands: Hands) -> None:
    event = await kitchens.orders.tell(confirmed(item(quantity=3)), "order-1")
    await kitchens.hears("order-1", "kitchen.ticket_accepted")
    await kitchens.publish_again(ORDERS, event)
    # Another event about the same order, as after a mistake upstream: the order id is the natural key.
    await kitchens.orders.tell(confirmed(item(quantity=3)), "order-1")
    marker = await kitchens.order()
    await kitchens.hears(marker, "kitchen.ticket_accepted")
    await kitchens.all_heard(hands.client)
    queue = (await hands.client.get("/queue")).json()["items"]
    assert [t["order_id"] for t in queue] == ["order-1"] * 3 + [marker]
    assert await kitchens.told("order-1") == ["kitchen.ticket_accepted"]
    assert (await hands.check_stock())["dough"]["reserved"] == 8


@pytest.mark.proves("P7")
async def test_an_order_that_needs_more_than_there_is_is_rejected_and_reserves_nothing(
    kitchens: Kitchens, hands: Hands
) -> None:
    order_id = await kitchens.order(item(), item("hawaiian", quantity=21))
    events = await kitchens.hears(order_id, "kitchen.ticket_rejected")
    assert [event.data for event in events] == [{"reason": "out-of-stock", "ingredients": ["pineapple"]}]
    assert all(stock["reserved"] == 0 for stock in (await hands.check_stock()).values())
    assert (await hands.claim(wait=0)).status_code == 204
    assert (await hands.client.post(f"/deliveries/{order_id}/start")).status_code == 409


@pytest.mark.proves("P8")
async def test_express_goes_before_standard_and_each_in_order(kitchens: Kitchens, hands: Hands) -> None:
    for number, priority in enumerate(["standard", "standard", "express", "express"]):
        order_id = await kitchens.order(order_id=f"{number}-{priority}", priority=priority)
        await kitchens.hears(order_id, "kitchen.ticket_accepted")
    expected = ["2-express", "3-express", "0-standard", "1-standard"]
    queue = (await hands.client.get("/queue")).json()["items"]
    assert [t["order_id"] for t in queue] == expected
    taken = [await hands.take(station) for station in ("oven-1", "oven-2", "oven-3", "grill-1")]
    assert [t["order_id"] for t in taken] == expected


@pytest.mark.proves("P8")
async def test_the_estimate_grows_with_the_work_that_waits(kitchens: Kitchens, hands: Hands) -> None:
    estimates = []
    for _ in range(3):
        order_id = await kitchens.order(item(quantity=20))
        (event,) = await kitchens.hears(order_id, "kitchen.ticket_accepted")
        estimates.append(event.data["estimated_ready_at"])
    assert estimates == sorted(set(estimates))


async def test_a_pizza_that_fails_is_cooked_again_and_a_repeat_counts_once(
    kitchens: Kitchens, hands: Hands
) -> None:
    order_id = await kitchens.order()
    ticket = await hands.take()
    for _ in range(2):
        answer = await hands.fail(ticket)
        assert (answer.status_code, answer.json()["status"], answer.json()["attempt"]) == (200, "queued", 2)
    assert (await hands.complete(ticket)).status_code == 409
    again = await hands.take("oven-2")
    assert again["ticket_id"] == ticket["ticket_id"]
    assert again["fencing_token"] > ticket["fencing_token"]
    assert (await hands.complete(again)).status_code == 200
    await kitchens.hears(order_id, "kitchen.order_ready")
    assert (await hands.check_stock())["dough"]["consumed"] == 2


@pytest.mark.proves("I4")
async def test_an_order_with_a_pizza_that_keeps_failing_is_rejected_and_its_stock_released(
    kitchens: Kitchens, hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kitchen_service.domain.ticket.MAX_FAILURES", 2)
    order_id = await kitchens.order(item(quantity=3))
    done = await hands.take()
    assert (await hands.complete(done)).status_code == 200
    unlucky = await hands.take()
    await hands.fail(unlucky)
    # The third pizza is at work while the second is given up: it goes on, for nothing.
    working = await hands.take("oven-2")
    unlucky = await hands.take("oven-3")
    last = await hands.fail(unlucky)
    assert last.json()["status"] == "failed"
    events = await kitchens.hears(order_id, "kitchen.ticket_rejected")
    assert events[-1].data == {"reason": "cannot-cook", "ingredients": []}
    assert (await hands.fail(unlucky)).json()["status"] == "failed"
    dough = (await hands.check_stock())["dough"]
    assert (dough["reserved"], dough["consumed"]) == (2, 2)
    assert (await hands.complete(working)).status_code == 200
    dough = (await hands.check_stock())["dough"]
    assert (dough["reserved"], dough["consumed"]) == (0, 4)
    assert (await hands.claim(wait=0)).status_code == 204
    assert "kitchen.order_ready" not in await kitchens.told(order_id)


async def test_an_order_for_later_is_accepted_now_and_cooked_then(
    make_kitchens: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kitchen_service.domain.estimate.TYPICAL_COOKING", timedelta(seconds=1))
    kitchens: Kitchens = await make_kitchens()
    hands = Hands(await kitchens.open())
    wanted = datetime.now(UTC) + timedelta(seconds=7)
    order_id = await kitchens.order(scheduled_for=wanted)
    (event,) = await kitchens.hears(order_id, "kitchen.ticket_accepted")
    assert datetime.fromisoformat(event.data["estimated_ready_at"]) == wanted
    assert (await hands.claim(wait=0)).status_code == 204
    ticket = await hands.take(wait=20)
    due_at = datetime.fromisoformat(ticket["due_at"])
    assert due_at == wanted - timedelta(seconds=1)  # as long as it takes alone
    assert datetime.now(UTC) >= due_at - timedelta(milliseconds=50)


@pytest.mark.proves("P7")
async def test_the_menu_says_what_goes_in_and_a_new_ingredient_is_low_until_it_comes_in(
    kitchens: Kitchens, hands: Hands
) -> None:
    changed = MenuItemChanged.model_validate(
        {
            "version": 2,
            "pizza_id": "truffle",
            "name": "Truffle",
            "available": True,
            "prices": {"small": "10.00", "medium": "12.00", "large": "14.00"},
            "ingredients": ("dough", "truffles"),
        }
    )
    await kitchens.menu.tell(changed, "truffle")
    await kitchens.hears("truffles", "stock.low")
    rejected = await kitchens.order(item("truffle"))
    events = await kitchens.hears(rejected, "kitchen.ticket_rejected")
    assert events[0].data["ingredients"] == ["truffles"]

    await hands.client.post("/inventory/truffles/restock", json={"quantity": 5})
    await kitchens.hears("truffles", "stock.restored")
    older = changed.model_copy(update={"version": 1, "ingredients": ("dough",)})
    await kitchens.menu.tell(older, "truffle")
    accepted = await kitchens.order(item("truffle"))
    await kitchens.hears(accepted, "kitchen.ticket_accepted")
    assert (await hands.check_stock())["truffles"]["reserved"] == 2


async def test_a_driver_may_repeat_and_may_not_take_what_is_not_ready(
    kitchens: Kitchens, hands: Hands
) -> None:
    order_id = await kitchens.order()
    ticket = await hands.take()

    async def post(verb: str, **body: str) -> httpx.Response:
        return await hands.client.post(f"/deliveries/{order_id}/{verb}", json=body)

    for verb in ("start", "complete"):
        answer = await post(verb)
        assert (answer.status_code, answer.json()["type"]) == (409, "/problems/wrong-state")
    await hands.complete(ticket)
    assert (await post("complete")).status_code == 409
    for _ in range(2):
        assert (await post("start", driver_id="ada")).json()["driver_id"] == "ada"
    assert (await post("start", driver_id="bob")).status_code == 409
    assert (await post("complete", driver_id="bob")).status_code == 409
    for _ in range(2):
        assert (await post("complete", driver_id="ada")).json()["status"] == "delivered"
    assert (await post("start", driver_id="ada")).status_code == 200
    assert (await hands.client.post("/deliveries/unknown/start")).status_code == 404
    await kitchens.hears(order_id, "delivery.completed")
    told = await kitchens.told(order_id)
    assert (told.count("delivery.started"), told.count("delivery.completed")) == (1, 1)
