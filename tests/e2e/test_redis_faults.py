"""Redis killed and wiped, and entries in its streams that nobody expects."""

from typing import Any

import pytest

from tests.e2e.harness import Pizzeria
from tests.e2e.harness_people import pizzas

pytestmark = pytest.mark.xdist_group("e2e-full")

ORDERS = "orders.events"


@pytest.mark.proves("R1", "R18", "I1", "I5")
async def test_redis_killed_and_started_again(pizzeria: Pizzeria) -> None:
    guest, cook = await pizzeria.guest(), pizzeria.cook()
    run = (await pizzeria.store.info("server"))["run_id"]
    cooking = await cook.take((await guest.place())["id"])
    for _ in range(2):
        await guest.place()
    await pizzeria.back_end.kill("redis")
    during = await guest.place()  # orders are accepted with Redis away
    await pizzeria.back_end.up("redis")
    assert (await pizzeria.store.info("server"))["run_id"] != run, "it is the same Redis as before"

    await pizzeria.reaches(during["id"], "confirmed")
    await cook.complete(cooking)
    await pizzeria.check_invariants()


@pytest.mark.proves("R18", "I2", "I3", "I4", "I6")
async def test_every_event_delivered_twice_has_its_effect_once(pizzeria: Pizzeria) -> None:
    guest, cook = await pizzeria.guest(), pizzeria.cook()
    order = await guest.place(pizzas(quantity=2))
    cooking = await cook.take(order["id"])
    await pizzeria.reaches(order["id"], "cooking")
    accepted = await pizzeria.events(order["id"], "kitchen.events")

    copies = 0
    for stream in (ORDERS, "kitchen.events"):
        entries: Any = await pizzeria.store.xrange(stream)
        for _, fields in entries:
            if order["id"].encode() in fields.get(b"__data__", b""):
                await pizzeria.store.xadd(stream, fields)
                copies += 1
    assert copies >= 5

    async def read_by_all() -> None:
        for stream in (ORDERS, "kitchen.events"):
            for group in await pizzeria.store.xinfo_groups(stream):
                assert not group["lag"], group
                assert not group["pending"], group

    await pizzeria.eventually(read_by_all)
    assert await pizzeria.events(order["id"], "kitchen.events") == accepted
    assert (await cook.complete(cooking)).is_success
    await cook.cook(order["id"])
    await pizzeria.driver().deliver(order["id"])
    await pizzeria.check_invariants()
