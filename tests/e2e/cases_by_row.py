"""One case for each row P1-P16 of what the pizzeria can do, as its people see it; run on every back end."""

import json
import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx

from tests.e2e.harness import Pizzeria
from tests.e2e.harness_invariants import amount
from tests.e2e.harness_people import Guest, pizzas
from tests.e2e.harness_snapshot import SERVICES, Json

CARD = {"payment": {"token": "tok_approved"}}


async def p1_an_edit_of_the_menu_is_in_the_next_order(shop: Pizzeria) -> None:
    guest = await shop.guest()
    await guest.place()  # the order service knows the old price
    seen = await shop.call("menu", "GET", "/menu/vegetarian")
    not_modified = await shop.call(
        "menu", "GET", "/menu/vegetarian", headers={"If-None-Match": seen.headers["ETag"]}
    )
    assert not_modified.status_code == 304

    async def charge(price: Json, version: str) -> str:
        body, headers = {"prices": {"medium": price}}, {"If-Match": version}
        edited = await shop.call(
            "menu", "PATCH", "/menu/vegetarian", role="manager", body=body, headers=headers
        )
        assert edited.status_code == 200, edited.text
        late = await shop.call(
            "menu", "PATCH", "/menu/vegetarian", role="manager", body=body, headers=headers
        )
        assert late.status_code == 412, "a second editor who has seen the old version"

        async def ordered() -> None:
            shown = (await shop.call("order", "GET", "/menu")).json()["items"]
            assert price in [item["prices"]["medium"] for item in shown if item["id"] == "vegetarian"]

        # A hint that is lost costs as long as a copy is fresh, 2 s; usually it is milliseconds.
        await shop.eventually(ordered)
        return edited.headers["ETag"]

    version = await charge({"amount": "14.44", "currency": "EUR"}, seen.headers["ETag"])
    order = await guest.place(items=pizzas("vegetarian"))
    assert order["total"]["amount"] == "14.44"
    await charge(seen.json()["prices"]["medium"], version)


async def p2_the_cart_is_charged_as_it_was_shown(shop: Pizzeria) -> None:
    began = (await shop.call("order", "POST", "/carts")).json()["cart_token"]
    mine = {"Cart-Token": began}
    line = {"pizza_id": "margherita", "size": "medium", "quantity": 2}
    assert (await shop.call("order", "POST", "/cart/items", body=line, headers=mine)).status_code == 201
    session = (await shop.call("order", "POST", "/sessions", body={"name": "Ada"}, headers=mine)).json()
    guest = Guest(shop, session["customer_id"], session["token"])
    shown = await ask(guest, "GET", "/cart")
    assert [item["quantity"] for item in shown.json()["items"]] == [2], "taken along when signing in"
    key, tag = {"Idempotency-Key": str(uuid4())}, {"If-Match": shown.headers["ETag"]}
    answers = [await ask(guest, "POST", "/cart/checkout", CARD, key | tag) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201], answers[0].text
    assert answers[0].json() == answers[1].json()
    order = answers[0].json()
    shop.diary.accept(order["id"])
    assert order["total"] == shown.json()["total"]
    assert (await ask(guest, "GET", "/cart")).json()["items"] == []
    await shop.close_shop()
    exported = (await ask(guest, "GET", "/me/export")).json()
    assert [one["id"] for one in exported["orders"]] == [order["id"]]
    assert (await ask(guest, "DELETE", "/me")).status_code == 204
    assert (await ask(guest, "GET", "/me")).status_code == 401


async def p3_one_key_is_one_order_now_or_later(shop: Pizzeria) -> None:
    guest, key = await shop.guest(), str(uuid4())
    body = {"items": pizzas(), **CARD, "priority": "express"}
    answers = [await guest.send_order(body, key=key) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
    assert {"ratelimit", "ratelimit-policy"} <= answers[0].headers.keys()
    other = await guest.send_order(body | {"priority": "standard"}, key=key)
    assert (other.status_code, other.json()["type"]) == (409, "/problems/idempotency-key-reused")
    later = await guest.place(scheduled_for=(datetime.now(UTC) + timedelta(seconds=4)).isoformat())
    assert later["scheduled_for"] is not None


async def p4_the_card_is_asked_and_never_charged_twice(shop: Pizzeria) -> None:
    guest = await shop.guest()
    declined, silent = await guest.place(pay="tok_declined"), await guest.place(pay="tok_timeout")
    ended = await shop.reaches(declined["id"], "cancelled")
    assert ended["payment"]["captured"]["amount"] == "0.00"
    await shop.reaches(silent["id"], "confirmed")
    await shop.cook().cook(silent["id"])  # so that all of it has been told by now
    assert (await shop.events(silent["id"])).count("payment.captured") == 1


async def p5_a_cancellation_is_decided_once(shop: Pizzeria) -> None:
    guest, cook = await shop.guest(), shop.cook()
    too_late = await guest.place()
    ticket = await cook.take(too_late["id"])
    called_off = await guest.place()
    await shop.reaches(too_late["id"], "cooking")
    refused = await guest.cancel(too_late["id"])
    assert refused.status_code == 409, refused.text
    assert (await guest.cancel(called_off["id"])).is_success
    ended = await shop.reaches(called_off["id"], "cancelled")

    async def refunded() -> None:
        view = await shop.order(called_off["id"])
        assert view["payment"]["refunded"] == view["payment"]["captured"] == ended["total"]

    await shop.eventually(refunded, order=called_off["id"])
    assert (await cook.complete(ticket)).is_success


async def p6_an_order_is_followed_live(shop: Pizzeria) -> None:
    guest = await shop.guest()
    order = await guest.place()
    first, seen = await follow(guest, order["id"], until="confirmed")
    assert first[-1]["status"] == "confirmed"
    await shop.cook().cook(order["id"])
    await shop.driver().deliver(order["id"])
    rest, _ = await follow(guest, order["id"], until="delivered", last=seen)
    assert rest[0]["status"] != "pending", "resumed where it ended"
    assert rest[-1]["status"] == "delivered"
    journey = (await ask(guest, "GET", f"/orders/{order['id']}/journey")).json()["items"]
    times = [step["time"] for step in journey]
    assert times == sorted(times)
    assert "pizzeria.delivery.completed.v1" in [step["type"] for step in journey]
    assert len({step["trace_id"] for step in journey if step["type"] == "pizzeria.order.placed.v1"}) == 1


async def p7_what_runs_low_leaves_the_menu_and_comes_back(shop: Pizzeria) -> None:
    guest = await shop.guest()
    recipes = (await shop.read("kitchen", "/inventory/recipes"))["items"]
    (needed,) = [one["portions"]["small"] for one in recipes if one["pizza_id"] == "hawaiian"]
    stock = await stock_of(shop, "pineapple")
    enough = math.ceil((stock["in_stock"] - stock["low_below"] + 1) / needed["pineapple"])
    order = await guest.place(pizzas("hawaiian", size="small", quantity=enough))

    async def offered(wanted: bool) -> None:
        menu = (await shop.call("order", "GET", "/menu")).json()["items"]
        assert [item["available"] for item in menu if item["id"] == "hawaiian"] == [wanted]

    await shop.eventually(lambda: offered(False), order=order["id"])
    sold_out = await guest.send_order({"items": pizzas("hawaiian"), **CARD})
    assert (sold_out.status_code, sold_out.json()["errors"][0]["pointer"]) == (422, "/items/0/pizza_id")
    key, more = {"Idempotency-Key": str(uuid4())}, {"quantity": stock["initial"]}
    for _ in range(2):
        restocked = await shop.call(
            "kitchen", "POST", "/inventory/pineapple/restock", role="manager", body=more, headers=key
        )
        assert restocked.is_success, restocked.text
    assert (await stock_of(shop, "pineapple"))["restocked"] == stock["restocked"] + stock["initial"], "once"
    await shop.eventually(lambda: offered(True))
    assert (await guest.cancel(order["id"])).is_success
    await shop.reaches(order["id"], "cancelled")


async def p8_express_first_and_a_dead_stations_ticket_to_another(shop: Pizzeria) -> None:
    guest, sleepy, awake = await shop.guest(), shop.cook("oven-1"), shop.cook("oven-2")
    placed = []
    for priority in ("standard", "express"):
        order = await guest.place(priority=priority)
        await shop.reaches(order["id"], "confirmed")
        placed.append(order["id"])
    await in_the_queue(shop, placed)
    first = await sleepy.claim()
    assert first is not None
    assert first.order_id == placed[1]
    second = await awake.claim()
    assert second is not None
    assert second.order_id == placed[0]
    assert (await awake.complete(second)).is_success
    again = await awake.take(first.order_id)  # when the lease of the first has run out
    assert (again.id, again.token > first.token) == (first.id, True)
    stale = await sleepy.complete(first)
    assert (stale.status_code, stale.json()["type"]) == (409, "/problems/stale-lease")
    assert (await awake.complete(again)).is_success


async def p9_the_wall_shows_who_cooks_what(shop: Pizzeria) -> None:
    guest, cook = await shop.guest(), shop.cook()
    order = await guest.place(pizzas(quantity=2))
    ticket = await cook.take(order["id"])
    waiting = (await shop.read("kitchen", "/queue", "cook"))["items"]
    assert order["id"] in {one["order_id"] for one in waiting}
    stations = {one["station_id"]: one for one in (await shop.read("kitchen", "/stations", "cook"))["items"]}
    assert ticket.id in {held["ticket_id"] for held in stations[cook.station]["tickets"]}
    page = await shop.call("kitchen", "GET", "/pages/display")
    assert (page.status_code, page.headers["content-type"].split(";")[0]) == (200, "text/html")
    assert (await cook.complete(ticket)).is_success


async def p10_a_driver_brings_what_is_ready(shop: Pizzeria) -> None:
    guest, driver = await shop.guest(), shop.driver()
    order = await guest.place()
    early = await driver.start(order["id"])
    assert early.status_code in (404, 409), "nobody can take what is not ready"
    await shop.cook().cook(order["id"])
    ready = (await shop.read("kitchen", "/deliveries", "driver"))["items"]
    assert order["id"] in {one["order_id"] for one in ready}
    await driver.deliver(order["id"])
    assert (await driver.arrive(order["id"])).is_success, "a repeat is harmless"


async def p11_what_was_sold_is_counted(shop: Pizzeria) -> None:
    await shop.check_invariants()
    sold = (await shop.read("analytics", "/revenue"))["revenue"]
    guest = await shop.guest()
    order = await guest.place(pizzas("bbq-chicken", quantity=2))
    await shop.cook().cook(order["id"])
    await shop.driver().deliver(order["id"])
    await shop.check_invariants()
    now = (await shop.read("analytics", "/revenue"))["revenue"]
    assert amount(now) - amount(sold) == amount(order["total"])
    board = (await shop.read("analytics", "/leaderboards/customers-money?limit=100"))["items"]
    assert guest.id in {one["id"] for one in board}
    assert sum(one["count"] for one in (await shop.read("analytics", "/timings"))["items"]) > 0


async def p12_a_customer_is_in_segments_and_in_an_audience(shop: Pizzeria) -> None:
    guest = await shop.guest()
    await guest.place(pizzas("margherita"))

    async def known() -> None:
        members = (await shop.read("analytics", "/segments/new?limit=200"))["items"]
        assert guest.id in members

    await shop.eventually(known)
    wish = {
        "name": "Welcome",
        "segments": ["new", "likes-margherita"],
        "expires_at": (datetime.now(UTC) + timedelta(hours=1)).isoformat(),
    }
    made = await shop.call("analytics", "POST", "/campaigns", role="manager", body=wish)
    assert made.status_code == 201, made.text
    path = f"/campaigns/{made.json()['id']}/audience?limit=200"
    assert guest.id in (await shop.read("analytics", path))["items"]


async def p13_projections_are_rebuilt_and_any_moment_is_known(shop: Pizzeria) -> None:
    guest = await shop.guest()
    before = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    order = await guest.place()
    await shop.reaches(order["id"], "confirmed")
    await shop.check_invariants()
    asked = await shop.call("analytics", "POST", "/projections/rebuild", role="manager")
    assert asked.status_code == 202, asked.text

    async def live() -> None:
        state = await shop.read("analytics", f"/projections/rebuilds/{asked.json()['id']}")
        assert state["finished_at"] is not None
        assert state["differences"] == 0

    await shop.eventually(live)
    assert (await shop.read("analytics", "/projections/check"))["consistent"]
    then = await shop.read("analytics", f"/as-of?time={before}")
    now = await shop.read("analytics", f"/as-of?time={datetime.now(UTC).isoformat().replace('+00:00', 'Z')}")
    assert sum(now["orders"].values()) == sum(then["orders"].values()) + 1


async def p14_the_guest_is_told_of_every_turn_once(shop: Pizzeria) -> None:
    guest = await shop.guest()
    order = await guest.place()
    await shop.reaches(order["id"], "confirmed")
    await shop.cook().cook(order["id"])
    await shop.driver().deliver(order["id"])

    async def told() -> None:
        letters = (await ask(guest, "GET", "/me/mailbox")).json()["items"]
        kinds = [letter["kind"] for letter in letters]
        assert len(kinds) == len(set(kinds)), kinds
        assert {"confirmed", "ready", "delivered"} <= set(kinds)

    await shop.eventually(told, order=order["id"])


async def p15_nobody_reads_or_does_what_is_not_theirs(shop: Pizzeria) -> None:
    guest, stranger = await shop.guest(), await shop.guest()
    order = await guest.place()
    assert (await stranger.look(order["id"])).status_code == 404
    assert (await stranger.cancel(order["id"])).status_code == 404
    for role, service, path in (
        ("cook", "analytics", "/revenue"),
        ("driver", "kitchen", "/queue"),
        ("cook", "order", "/ops/dead-letters"),
    ):
        assert (await shop.call(service, "GET", path, role=role)).status_code == 403, path
        assert (await shop.call(service, "GET", path)).status_code == 401, path
    assert (await ask(guest, "DELETE", "/sessions/current")).status_code == 204
    assert (await ask(guest, "GET", "/me")).status_code == 401


async def p16_operators_see_and_mend(shop: Pizzeria) -> None:
    poison = {
        "specversion": "1.0",
        "id": str(uuid4()),
        "source": "/pizzeria/kitchen",
        "type": "pizzeria.stock.low.v1",
        "subject": "truffle",
        "time": "2026-11-28T12:00:00Z",
        "data": {},
    }
    await shop.store.xadd("kitchen.events", {"__data__": json.dumps(poison)})
    shop.diary.expected_dead["kitchen.events"] += 2  # menu and analytics

    async def dead() -> Json:
        letters = (await shop.read("menu", "/ops/dead-letters?state=waiting"))["items"]
        found = [one for one in letters if one["event_id"] == poison["id"]]
        assert len(found) == 1, letters
        letter: Json = found[0]
        return letter

    letter = await shop.eventually(dead)
    path = f"/ops/dead-letters/{letter['id']}"
    mended = {**poison, "data": {"ingredient": "truffle"}}
    edited = await shop.call("menu", "PATCH", path, role="manager", body={"event": mended})
    assert edited.status_code == 200, edited.text
    assert (await shop.call("menu", "POST", f"{path}/redrive", role="manager")).status_code == 202

    async def redriven() -> None:
        assert (await shop.read("menu", path))["state"] == "redriven"

    await shop.eventually(redriven)
    for service in SERVICES:
        for view in ("lag", "breakers", "topology"):
            await shop.read(service, f"/ops/{view}")


async def ask(
    guest: Guest, method: str, path: str, body: Json | None = None, headers: dict[str, str] | None = None
) -> httpx.Response:
    """A call of the guest to order."""
    return await guest.shop.call("order", method, path, token=guest.token, body=body, headers=headers)


async def follow(guest: Guest, order_id: str, *, until: str, last: str = "") -> tuple[Sequence[Json], str]:
    """What the live stream tells until that status, and the id of its last event."""
    headers = {"Authorization": f"Bearer {guest.token}", **({"Last-Event-ID": last} if last else {})}
    url = f"{next(guest.shop._turn['order'])}/orders/{order_id}/live"
    told: list[Json] = []
    async with guest.shop.http.stream("GET", url, headers=headers, timeout=15) as answer:
        assert answer.status_code == 200
        async for line in answer.aiter_lines():
            name, _, value = line.partition(": ")
            if name == "id":
                last = value
            elif name == "data":
                told.append(json.loads(value))
                if told[-1]["status"] == until:
                    break
    return told, last


async def stock_of(shop: Pizzeria, ingredient: str) -> Json:
    items: list[Any] = (await shop.read("kitchen", "/inventory"))["items"]
    (found,) = [item for item in items if item["ingredient"] == ingredient]
    stock: Json = found
    return stock


async def in_the_queue(shop: Pizzeria, order_ids: Sequence[str]) -> None:
    """Return when the kitchen has accepted all of them."""

    async def known() -> None:
        for order_id in order_ids:
            assert "kitchen.ticket_accepted" in await shop.events(order_id, "kitchen.events")

    await shop.eventually(known, order=order_ids[0])


BY_ROW = {
    "P1": p1_an_edit_of_the_menu_is_in_the_next_order,
    "P2": p2_the_cart_is_charged_as_it_was_shown,
    "P3": p3_one_key_is_one_order_now_or_later,
    "P4": p4_the_card_is_asked_and_never_charged_twice,
    "P5": p5_a_cancellation_is_decided_once,
    "P6": p6_an_order_is_followed_live,
    "P7": p7_what_runs_low_leaves_the_menu_and_comes_back,
    "P8": p8_express_first_and_a_dead_stations_ticket_to_another,
    "P9": p9_the_wall_shows_who_cooks_what,
    "P10": p10_a_driver_brings_what_is_ready,
    "P11": p11_what_was_sold_is_counted,
    "P12": p12_a_customer_is_in_segments_and_in_an_audience,
    "P13": p13_projections_are_rebuilt_and_any_moment_is_known,
    "P14": p14_the_guest_is_told_of_every_turn_once,
    "P15": p15_nobody_reads_or_does_what_is_not_theirs,
    "P16": p16_operators_see_and_mend,
}
