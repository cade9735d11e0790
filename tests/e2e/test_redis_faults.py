"""Redis killed and wiped, and entries in its streams that nobody expects."""

import json
from typing import Any
from uuid import uuid4

import pytest

from tests.e2e import cases
from tests.e2e.harness import Pizzeria
from tests.e2e.harness_people import pizzas
from tests.e2e.harness_snapshot import dead_letters

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


@pytest.mark.proves("R16", "R18", "P13", "I1", "I3", "I5", "I6")
async def test_redis_wiped(pizzeria: Pizzeria) -> None:
    await cases.redis_wiped(pizzeria)


@pytest.mark.proves("R18", "I9")
async def test_poison_becomes_dead_letters_and_the_rest_flows(pizzeria: Pizzeria) -> None:
    guest, store = await pizzeria.guest(), pizzeria.store
    envelope = {
        "specversion": "1.0",
        "source": "/e2e",
        "subject": str(uuid4()),
        "time": "2026-11-21T12:00:00Z",
        "sequence": 1,
    }
    poison = {
        "malformed": [{"note": "no envelope"}, {"__data__": "{"}],
        "unknown-type": [entry(envelope, "pizzeria.order.eaten.v1", {})],
        "invalid-payload": [entry(envelope, "pizzeria.order.confirmed.v1", {"items": "all"})],
    }
    known = len(await dead_letters(store, ORDERS))
    for entries in poison.values():
        for fields in entries:
            await store.xadd(ORDERS, fields)
    order = await guest.place()
    await pizzeria.reaches(order["id"], "confirmed")

    async def all_dead() -> list[tuple[str, str]]:
        letters = [(letter.group, letter.reason) for letter in await dead_letters(store, ORDERS)]
        assert len(letters) >= known + 4
        return letters[known:]

    wanted = sorted(("kitchen", reason) for reason, entries in poison.items() for _ in entries)
    found = await pizzeria.eventually(all_dead)
    assert sorted(letter for letter in found if letter[0] == "kitchen") == wanted
    pizzeria.diary.expected_dead[ORDERS] += 4
    await pizzeria.cook().cook(order["id"])
    await pizzeria.driver().deliver(order["id"])
    await pizzeria.check_invariants()


def entry(envelope: dict[str, object], kind: str, data: object) -> dict[Any, Any]:
    return {"__data__": json.dumps({**envelope, "id": str(uuid4()), "type": kind, "data": data})}


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
