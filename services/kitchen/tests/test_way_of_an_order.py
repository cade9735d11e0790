"""One order through the kitchen: from paid to delivered, and the ways on which it ends early."""

import pytest

from services.kitchen.tests.harness import Hands, Kitchens, item


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
