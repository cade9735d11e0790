"""What happens when: each fault of the design's matrix, what people see meanwhile, and what holds after it.

Each first sees that the fault is there. They run on one process per service and on two.
"""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, closing
from datetime import datetime
from typing import Any, Final
from uuid import uuid4

from tests.e2e import cases
from tests.e2e.harness import Pizzeria
from tests.e2e.harness_backends import Processes
from tests.e2e.harness_people import ONE_MARGHERITA, pizzas
from tests.e2e.harness_snapshot import SERVICES, Json, dead_letters

ORDERS: Final = "orders.events"
BACK_WITHIN: Final = 10
"""Seconds until everything is as usual after Redis is back."""


async def redis_away(shop: Pizzeria) -> None:
    """Guests stay signed in, the menu is there, orders are accepted; readiness says what is wrong."""
    guest = await shop.guest()
    before = await guest.place()
    await shop.reaches(before["id"], "confirmed")
    async with shop.paused("redis"):
        placing = asyncio.create_task(guest.place())
        answers = await asyncio.gather(
            *(shop.call("order", "GET", path, token=guest.token) for path in ("/me", "/menu", "/orders")),
            shop.call("menu", "GET", "/menu"),
        )
        assert [answer.status_code for answer in answers] == [200] * 4
        order = await placing
        asked = await asyncio.gather(*(shop.call(service, "GET", "/health/ready") for service in SERVICES))
        for service, ready in zip(SERVICES, asked, strict=True):
            checks = ready.json()["checks"]
            assert checks["redis"]["status"] != "ok", ready.text
            assert checks["redis"]["reason"]
            # Kitchen and analytics cannot do what they are for, so nobody should send them work.
            wanted = 200 if service in ("order", "menu") else 503
            assert ready.status_code == wanted, ready.text
    await all_ready(shop, within=BACK_WITHIN)
    await shop.reaches(order["id"], "confirmed", within=BACK_WITHIN)


async def redis_wiped(shop: Pizzeria) -> None:
    """As that, and carts are gone, which the guest is told."""
    guest = await shop.guest()
    line = {"pizza_id": "margherita", "size": "medium", "quantity": 1}
    added = await shop.call("order", "POST", "/cart/items", token=guest.token, body=line)
    assert added.status_code == 201, added.text
    await cases.redis_wiped(shop)
    cart = await shop.call("order", "GET", "/cart", token=guest.token)
    assert (cart.json()["items"], cart.json()["gone"]) == ([], True)


async def menu_away(shop: Pizzeria) -> None:
    """Priced from the last good copy."""
    guest = await shop.guest()
    before = await guest.place()
    async with shop.paused("menu"):
        order = await guest.place()
        await shop.reaches(order["id"], "confirmed")

        async def told() -> None:
            for url in shop.back_end.urls["order"]:
                assert (await shop.http.get(f"{url}/menu")).status_code == 200
                checks = (await shop.http.get(f"{url}/health/ready")).json()["checks"]
                assert checks["menu"]["status"] == "degraded", checks

        await shop.eventually(told)
        assert (await guest.place())["total"] == before["total"]
    assert order["total"] == before["total"]


async def kitchen_and_analytics_away(shop: Pizzeria) -> None:
    """Orders are accepted and kept; both catch up later."""
    guest = await shop.guest()
    async with shop.paused(*processes_of(shop, "kitchen"), "analytics"):
        orders = [await guest.place() for _ in range(2)]
        for order in orders:
            await shop.reaches(order["id"], "confirmed")
        heard = (await shop.read("order", f"/orders/{orders[0]['id']}"))["status"]
        assert heard == "confirmed", "the kitchen is not away"
    await shop.cook().cook(orders[0]["id"])


async def database_away(shop: Pizzeria) -> None:
    """503 with Retry-After, and nothing half done."""
    guest, key = await shop.guest(), str(uuid4())
    await guest.place()
    body = {"items": ONE_MARGHERITA, "payment": {"token": "tok_approved"}}
    async with locked(shop, "order"):
        refused = await guest.send_order(body, key=key)
        assert (refused.status_code, refused.json()["status"]) == (503, 503), refused.text
        assert int(refused.headers["Retry-After"]) > 0
        mine = (await shop.call("order", "GET", "/orders", token=guest.token)).json()["items"]
        assert len(mine) == 1

    async def accepted() -> Json:
        answer = await guest.send_order(body, key=key)
        assert answer.status_code == 201, answer.text
        order: Json = answer.json()
        return order

    order = await shop.eventually(accepted)
    await shop.reaches(order["id"], "confirmed")
    mine = (await shop.call("order", "GET", "/orders", token=guest.token)).json()["items"]
    assert len(mine) == 2


async def poison_event(shop: Pizzeria) -> None:
    """Dead letters with their reasons; the rest flows."""
    guest, store = await shop.guest(), shop.store
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
    await shop.reaches(order["id"], "confirmed")
    wanted = sorted(reason for reason, entries in poison.items() for _ in entries)

    async def all_dead() -> None:
        letters = (await dead_letters(store, ORDERS))[known:]
        assert sorted(one.reason for one in letters if one.group == "kitchen") == wanted, letters
        assert len([one for one in letters if one.group == "analytics"]) == len(wanted), letters

    await shop.eventually(all_dead)
    shop.diary.expected_dead[ORDERS] += 4
    await shop.cook().cook(order["id"])


async def every_service_killed(shop: Pizzeria) -> None:
    """kill -9, one after the other, while orders come; no effect is doubled or lost."""
    guest = await shop.guest()

    async def orders() -> None:
        for number in range(8):
            await guest.place(pizzas(quantity=1 + number % 2))
            await asyncio.sleep(0.2)

    async with shop.at_work(), asyncio.TaskGroup() as group:
        group.create_task(orders())
        for service in SERVICES:
            for process in processes_of(shop, service):
                await asyncio.sleep(0.2)
                await shop.kill(process)


async def a_service_paused(shop: Pizzeria) -> None:
    """For longer than its leases: what it then still wants to do is too late, or was not done yet."""
    guest, cook = await shop.guest(), shop.cook()
    order = await guest.place()
    held = await cook.take(order["id"])
    async with shop.paused(*processes_of(shop, "kitchen")):
        await asyncio.sleep(3)  # a ticket's lease is two seconds here
        meanwhile = await guest.place()
    late = await cook.complete(held)
    assert late.is_success or late.json()["type"] == "/problems/stale-lease"
    await cook.cook(order["id"])
    assert (await shop.events(order["id"], "kitchen.events")).count("kitchen.ticket_completed") == 1
    await cook.cook(meanwhile["id"])


async def sigterm(shop: Pizzeria) -> None:
    """What is under way ends, the process ends with 0 within its grace time, the next one goes on."""
    guest, cook = await shop.guest(), shop.cook()
    if len(shop.back_end.urls["kitchen"]) > 1:
        shop.ask_only("kitchen", 0)
    waiting = asyncio.create_task(cook.claim(wait=10))
    await asyncio.sleep(0.3)
    ended = await processes(shop).terminate("kitchen")
    assert "exited with code 0" in ended
    assert await asyncio.wait_for(waiting, 5) is None, "the claim was answered, not cut off"
    shop.ask_all()
    await shop.back_end.up("kitchen")
    order = await guest.place()
    await cook.cook(order["id"])


async def bad_input(shop: Pizzeria) -> None:
    """A problem that names the field; nothing is written."""
    guest = await shop.guest()
    head = await shop.read("order", "/events/head", "service")
    answer = await guest.send_order({"items": pizzas(quantity=0), "payment": {"token": "tok_approved"}})
    assert (answer.status_code, answer.headers["Content-Type"]) == (422, "application/problem+json")
    assert [fault["pointer"] for fault in answer.json()["errors"]] == ["/items/0/quantity"]
    assert await shop.read("order", "/events/head", "service") == head


async def overload(shop: Pizzeria) -> None:
    """429 with RateLimit and Retry-After for whom sends too much; others are served, and told honestly."""
    greedy, other = await shop.guest(), await shop.guest()
    for _ in range(30):
        answers = await asyncio.gather(*(greedy.send_order({}) for _ in range(10)))
        if refused := [answer for answer in answers if answer.status_code == 429]:
            break
    assert refused, "nobody was held back"
    assert int(refused[0].headers["Retry-After"]) > 0
    assert {"ratelimit", "ratelimit-policy"} <= refused[0].headers.keys()
    shop.ask_only("order", 0)  # each replica has its own look at how fast the kitchen is
    small = await other.place()
    large = await other.place(pizzas(quantity=20))
    shop.ask_all()
    assert ready_at(large) > ready_at(small)


FAULTS: Final[Mapping[str, Callable[[Pizzeria], Awaitable[None]]]] = {
    "redis away": redis_away,
    "redis wiped": redis_wiped,
    "menu away": menu_away,
    "kitchen and analytics away": kitchen_and_analytics_away,
    "database away": database_away,
    "poison event": poison_event,
    "process killed": every_service_killed,
    "process paused": a_service_paused,
    "SIGTERM": sigterm,
    "bad input": bad_input,
    "overload": overload,
}


def processes(shop: Pizzeria) -> Processes:
    assert isinstance(shop.back_end, Processes)
    return shop.back_end


def processes_of(shop: Pizzeria, service: str) -> list[str]:
    """`kitchen`, and `kitchen-2` where there are two."""
    count = len(shop.back_end.urls[service])
    return [service if number == 1 else f"{service}-{number}" for number in range(1, count + 1)]


async def all_ready(shop: Pizzeria, *, within: float) -> None:
    async def ready() -> None:
        for service in SERVICES:
            for url in shop.back_end.urls[service]:
                answer = await shop.http.get(f"{url}/health/ready")
                assert answer.json()["status"] == "ready", answer.text

    await shop.eventually(ready, within=within)


@asynccontextmanager
async def locked(shop: Pizzeria, service: str) -> AsyncIterator[None]:
    """Nobody can write to the database of a service."""
    with closing(sqlite3.connect(processes(shop).database(service), isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            holder.execute("ROLLBACK")


def entry(envelope: Mapping[str, object], kind: str, data: object) -> dict[Any, Any]:
    return {"__data__": json.dumps({**envelope, "id": str(uuid4()), "type": kind, "data": data})}


def ready_at(order: Json) -> datetime:
    return datetime.fromisoformat(order["estimated_ready_at"])
