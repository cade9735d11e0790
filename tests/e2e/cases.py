"""The cases that run on every back end: the happy path and three faults."""

from decimal import Decimal

from tests.e2e.harness import Pizzeria
from tests.e2e.harness_invariants import amount
from tests.e2e.harness_people import pizzas

CANARY = "e2e:canary"


async def an_order_is_delivered(shop: Pizzeria) -> None:
    """Every step of an order, with everything that a guest, a manager and the analysts see of it."""
    guest = await shop.guest()
    large_pepperoni = {"pizza_id": "pepperoni", "size": "large", "toppings": ["olives"], "quantity": 1}
    order = await guest.place([*pizzas("margherita"), large_pepperoni])
    assert amount(order["total"]) == Decimal("12.99") + Decimal("19.49") + Decimal("1.50")
    confirmed = await shop.reaches(order["id"], "confirmed")
    assert confirmed["payment"]["status"] == "captured"

    cook, driver = shop.cook(), shop.driver()
    first, second = await cook.take(order["id"]), await cook.take(order["id"])
    await shop.reaches(order["id"], "cooking")
    assert (await cook.complete(first)).is_success
    assert (await cook.complete(second)).is_success
    await shop.reaches(order["id"], "ready")
    assert (await driver.start(order["id"])).is_success
    await shop.reaches(order["id"], "delivering")
    assert (await driver.arrive(order["id"])).is_success
    delivered = await shop.reaches(order["id"], "delivered")
    assert delivered["payment"]["captured"] == order["total"]
    assert delivered["estimated_ready_at"] is not None

    assert await shop.events(order["id"]) == ["order.placed", "payment.captured", "order.confirmed"]
    await shop.check_invariants()


async def kitchen_killed_while_cooking(shop: Pizzeria) -> None:
    """The pizza in the oven is finished once, by whoever holds the newest token."""
    guest, cook = await shop.guest(), shop.cook()
    order = await guest.place(pizzas(quantity=2))
    begun = await cook.take(order["id"])
    await shop.kill("kitchen")
    answer = await cook.complete(begun)
    if not answer.is_success:  # its lease ran out while the kitchen was down
        assert answer.json()["type"] == "/problems/stale-lease"
    await cook.cook(order["id"])
    await shop.driver().deliver(order["id"])
    assert (await shop.events(order["id"], "kitchen.events")).count("kitchen.ticket_completed") == 2
    await shop.check_invariants()


async def redis_wiped(shop: Pizzeria) -> None:
    """Queue, leases, streams, groups and projections are gone; every order ends as if nothing had been."""
    guest, cook = await shop.guest(), shop.cook()
    cooking = await guest.place()
    before = await cook.take(cooking["id"])
    waiting = [await guest.place(pizzas("pepperoni")) for _ in range(3)]
    for order in waiting:
        await shop.reaches(order["id"], "confirmed")
    await shop.store.set(CANARY, "alive")

    await shop.store.flushall()
    assert await shop.store.get(CANARY) is None

    await cook.complete(before)
    for order in waiting:
        await cook.cook(order["id"])
    after = [grant.token for grant in shop.diary.grants if grant.order_id in {o["id"] for o in waiting}]
    assert after
    assert min(after) > before.token
    await shop.check_invariants()


async def order_killed_before_relay(shop: Pizzeria) -> None:
    """What was committed and not yet sent when the service died is sent by the next one."""
    guest = await shop.guest()
    await guest.place()  # so that the menu is known to the service
    async with shop.paused("redis"):
        order = await guest.place()
        outbox = (await shop.read("order", "/events/positions", "service"))["outbox"]
        assert outbox["sent"] < outbox["head"], "the relay was quicker than the pause"
        await shop.kill("order")
    await shop.reaches(order["id"], "confirmed")
    await shop.cook().cook(order["id"])
    await shop.driver().deliver(order["id"])
    await shop.check_invariants()
