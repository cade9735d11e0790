"""A cart: filled, priced, ordered once, at the prices that were shown."""

import asyncio
import sqlite3
from contextlib import closing
from typing import Any

import pytest
from rediscore.settings import RedisSettings
from rediscore.testing import eventually
from rediscore.testing.proxy import FaultProxy

from services.order.tests.harness import ON_BOTH_DATABASES, Guest, House


def eur(amount: str) -> dict[str, str]:
    return {"amount": amount, "currency": "EUR"}


async def reprice(house: House, guest: Guest, amount: str) -> None:
    """Another price of a medium margherita, and the service knows."""
    house.menu.menu["items"][0]["prices"]["medium"]["amount"] = amount

    async def known() -> bool:
        menu = (await guest.http.get("/menu")).json()
        return bool(menu["items"][0]["prices"]["medium"]["amount"] == amount)

    await eventually(known, every=0.02)


@pytest.mark.proves("P2", "R9")
async def test_a_cart_is_filled_changed_and_priced(guest: Guest) -> None:
    assert await guest.cart() == {"items": [], "total": eur("0.00"), "gone": False}
    first = await guest.add(quantity=2, toppings=["olives"])
    second = await guest.add(size="small")
    cart = await guest.cart()
    assert [line["id"] for line in cart["items"]] == [first, second]
    assert cart["items"][0] == {
        "id": first,
        "pizza_id": "margherita",
        "size": "medium",
        "toppings": ["olives"],
        "quantity": 2,
        "unit_price": eur("14.49"),
        "previous_unit_price": None,
        "available": True,
    }
    assert cart["total"] == eur("39.37")

    changed = await guest.patch(f"/cart/items/{first}", {"quantity": 1, "toppings": []})
    assert changed.status_code == 200
    assert changed.json()["total"] == eur("23.38")
    assert (await guest.delete(f"/cart/items/{second}")).status_code == 204
    assert (await guest.cart())["total"] == eur("12.99")
    assert (await guest.delete(f"/cart/items/{first}")).status_code == 204
    assert await guest.cart() == {"items": [], "total": eur("0.00"), "gone": False}
    for gone in (await guest.delete(f"/cart/items/{first}"), await guest.patch(f"/cart/items/{first}", {})):
        assert gone.status_code == 404
        assert gone.json()["type"] == "/problems/not-found"


@pytest.mark.proves("P2", "P3")
async def test_what_is_shown_is_ordered_and_the_cart_is_empty(house: House, guest: Guest) -> None:
    await guest.add(quantity=2)
    shown = await guest.cart()
    answer = await guest.check_out(priority="express", notes="ring twice")
    assert answer.status_code == 201, answer.text
    order = answer.json()
    assert answer.headers["location"] == f"/orders/{order['id']}"
    assert order["total"] == shown["total"] == eur("25.98")
    assert order["priority"] == "express"
    assert await guest.cart() == {"items": [], "total": eur("0.00"), "gone": False}
    again = await guest.check_out()
    assert again.status_code == 409
    assert again.json()["type"] == "/problems/cart-empty"
    await guest.until_status(order["id"], "confirmed")
    await guest.add()
    assert len((await guest.cart())["items"]) == 1
    assert house.rows("SELECT count(*) FROM orders") == [(1,)]


@pytest.mark.proves("P2", "P3")
async def test_a_price_that_changed_is_told_before_anything_is_ordered(house: House, guest: Guest) -> None:
    await guest.add(size="small")
    await guest.add(quantity=2)
    await reprice(house, guest, "13.49")
    refused = await guest.check_out(key="k-1")
    assert refused.status_code == 409
    problem = refused.json()
    assert problem["type"] == "/problems/price-changed"
    assert problem["changes"] == [{"pointer": "/items/1", "old": eur("12.99"), "new": eur("13.49")}]
    assert house.rows("SELECT (SELECT count(*) FROM orders) + (SELECT count(*) FROM outbox)") == [(0,)]

    shown = await guest.cart()
    assert [line["unit_price"]["amount"] for line in shown["items"]] == ["10.39", "13.49"]
    order = (await guest.check_out(key="k-1")).json()
    assert order["total"] == shown["total"] == eur("37.37")


@pytest.mark.proves("P2")
async def test_what_was_not_shown_is_not_accepted_by_taking_a_line_out(house: House, guest: Guest) -> None:
    other = await guest.add(size="small")
    await guest.add()
    await reprice(house, guest, "19.00")
    assert (await guest.delete(f"/cart/items/{other}")).status_code == 204  # shows no price
    refused = await guest.check_out()
    assert refused.json()["changes"] == [{"pointer": "/items/0", "old": eur("12.99"), "new": eur("19.00")}]
    assert (await guest.check_out()).json()["total"] == eur("19.00")


@pytest.mark.proves("P2")
async def test_a_look_at_the_cart_shows_the_new_price_and_the_old(house: House, guest: Guest) -> None:
    await guest.add()
    await reprice(house, guest, "11.00")
    (line,) = (await guest.cart())["items"]
    assert (line["unit_price"], line["previous_unit_price"]) == (eur("11.00"), eur("12.99"))
    assert (await guest.check_out()).json()["total"] == eur("11.00")


@pytest.mark.proves("P2")
async def test_another_device_cannot_accept_a_price_for_this_one(house: House, guest: Guest) -> None:
    await guest.add()
    seen = (await guest.get("/cart")).headers["etag"]
    await reprice(house, guest, "19.00")
    await guest.cart()  # elsewhere the new price is shown
    refused = await guest.check_out(headers={"If-Match": seen})
    assert refused.status_code == 412
    assert refused.json()["type"] == "/problems/version-mismatch"
    now = (await guest.get("/cart")).headers["etag"]
    assert (await guest.check_out(headers={"If-Match": now})).json()["total"] == eur("19.00")


@pytest.mark.proves("P2")
async def test_what_cannot_be_had_stays_visible_and_is_not_ordered(house: House, guest: Guest) -> None:
    await guest.add()
    await guest.add(size="small")
    del house.menu.menu["items"][0]["prices"]["medium"]
    await eventually(lambda: _available(guest, [False, True]))
    cart = await guest.cart()
    assert cart["total"] == eur("10.39")
    refused = await guest.check_out()
    assert refused.status_code == 422
    assert [error["pointer"] for error in refused.json()["errors"]] == ["/items/0/size"]
    assert (await guest.delete(f"/cart/items/{cart['items'][0]['id']}")).status_code == 204
    assert (await guest.check_out()).json()["total"] == eur("10.39")


async def _available(guest: Guest, expected: list[bool]) -> bool:
    return [line["available"] for line in (await guest.cart())["items"]] == expected


@pytest.mark.proves("P2", "P3")
async def test_a_checkout_is_repeated_without_a_second_order(house: House, guest: Guest) -> None:
    await guest.add()
    first = await guest.check_out(key="k")
    again = await guest.check_out(key="k")
    assert again.status_code == 201
    assert again.content == first.content
    assert again.headers["idempotency-replayed"] == "true"
    await guest.add()
    other = await guest.check_out(key="k", priority="express")
    assert other.json()["type"] == "/problems/idempotency-key-reused"
    assert (await guest.order(key="k")).json()["type"] == "/problems/idempotency-key-reused"
    assert house.rows("SELECT count(*) FROM orders") == [(1,)]
    assert len((await guest.cart())["items"]) == 1


@ON_BOTH_DATABASES
@pytest.mark.proves("P2")
async def test_a_cart_checked_out_twice_at_once_is_one_order(house: House) -> None:
    here = await house.guest(await house.open())
    there = Guest.of(await house.open(), here)
    for n in range(4):
        await here.add()
        answers = await asyncio.gather(here.check_out(key=f"a-{n}"), there.check_out(key=f"b-{n}"))
        assert sorted(answer.status_code for answer in answers) == [201, 409], [a.text for a in answers]
    assert house.rows("SELECT count(*) FROM orders") == [(4,)]


@pytest.mark.proves("P2")
async def test_nothing_can_be_put_into_a_cart_that_is_being_checked_out(house: House) -> None:
    here = await house.guest(await house.open(menu_fresh_seconds=60))
    there = Guest.of(await house.open(menu_fresh_seconds=60), here)
    await here.add()
    await there.cart()
    path = house.database_url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as lock:
        # The checkout waits for its transaction, and holds the cart.
        await asyncio.to_thread(lock.execute, "BEGIN IMMEDIATE")
        checking_out = asyncio.create_task(here.check_out())
        line = {"pizza_id": "margherita", "size": "small"}
        redis: Any = house.kitchen.connections.commands

        async def held() -> bool:
            (key,) = [key async for key in redis.scan_iter("*:record:*")]
            return bool(await redis.hget(key, "held_until") != b"null")

        await eventually(held, every=0.02)
        refused = await there.post("/cart/items", json=line)
        lock.execute("ROLLBACK")
    assert refused.status_code == 409
    assert refused.json()["type"] == "/problems/request-in-progress"
    assert int(refused.headers["retry-after"]) >= 1
    assert (await checking_out).json()["total"] == eur("12.99")
    assert (await there.post("/cart/items", json=line)).json()["total"] == eur("10.39")


@pytest.mark.proves("P2")
async def test_lines_put_in_at_once_are_all_there(house: House) -> None:
    here = await house.guest(await house.open())
    there = Guest.of(await house.open(), here)
    ids = await asyncio.gather(*((here, there)[n % 2].add(quantity=n + 1) for n in range(6)))
    lines = (await here.cart())["items"]
    assert sorted(line["id"] for line in lines) == sorted(ids)
    assert sorted(line["quantity"] for line in lines) == [1, 2, 3, 4, 5, 6]
    path = f"/cart/items/{ids[0]}"
    await asyncio.gather(
        here.patch(path, {"quantity": 9}),
        there.patch(path, {"size": "small"}),
        here.patch(path, {"toppings": ["basil"]}),
    )
    (line,) = [line for line in (await there.cart())["items"] if line["id"] == ids[0]]
    assert (line["quantity"], line["size"], line["toppings"]) == (9, "small", ["basil"])


@pytest.mark.proves("P2")
async def test_the_same_key_puts_a_line_in_once(guest: Guest) -> None:
    assert await guest.add(key="k") == await guest.add(key="k")
    assert await guest.add(key="other") != await guest.add()
    assert len((await guest.cart())["items"]) == 3


@pytest.mark.proves("P2")
async def test_after_a_wipe_the_guest_is_told(house: House, guest: Guest) -> None:
    await guest.add()
    await house.kitchen.connections.commands.flushdb()
    assert await guest.cart() == {"items": [], "total": eur("0.00"), "gone": True}
    refused = await guest.check_out()
    assert refused.status_code == 409
    assert refused.json()["type"] == "/problems/cart-gone"
    await guest.add(quantity=3)
    cart = await guest.cart()
    assert cart["gone"] is False
    assert [line["quantity"] for line in cart["items"]] == [3]
    assert (await guest.check_out()).status_code == 201


@pytest.mark.proves("P2")
async def test_an_ordered_cart_does_not_come_back_with_an_old_redis(house: House, guest: Guest) -> None:
    await guest.add()
    redis: Any = house.kitchen.connections.commands
    (key,) = [key async for key in redis.scan_iter("*:record:*")]
    kept = await redis.dump(key)
    assert (await guest.check_out()).status_code == 201
    await redis.restore(key, 60_000, kept, replace=True)
    assert await guest.cart() == {"items": [], "total": eur("0.00"), "gone": False}
    assert (await guest.check_out()).json()["type"] == "/problems/cart-empty"
    assert house.rows("SELECT count(*) FROM orders") == [(1,)]


@pytest.mark.proves("P2")
async def test_without_redis_there_are_no_carts_and_all_else_goes_on(
    house: House, fault_proxy: FaultProxy
) -> None:
    through = house.redis.model_copy(update={"host": "127.0.0.1", "port": fault_proxy.port})
    house.redis = RedisSettings.model_validate(through)
    guest = await house.guest(await house.open())
    await guest.add()
    fault_proxy.cut()
    for answer in (await guest.get("/cart"), await guest.check_out()):
        assert answer.status_code == 503, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        assert int(answer.headers["retry-after"]) >= 1
    assert (await guest.get("/me")).status_code == 200
    assert (await guest.order()).status_code == 201
    fault_proxy.restore()

    async def back() -> bool:
        return (await guest.get("/cart")).status_code == 200

    await eventually(back, within=40, every=0.05)
    assert len((await guest.cart())["items"]) == 1


@pytest.mark.proves("P2", "R9")
async def test_a_cart_in_use_lives_on_and_an_unused_one_runs_out(house: House) -> None:
    guest = await house.guest(await house.open(cart_days=10 / 86400))
    await guest.add()
    redis: Any = house.kitchen.connections.commands
    (key,) = [key async for key in redis.scan_iter("*:record:*")]
    await asyncio.sleep(1.2)
    assert await redis.pttl(key) < 8_900
    await guest.cart()
    assert await redis.pttl(key) > 9_000
    await redis.pexpire(key, 1)
    await eventually(lambda: _is_gone(guest))


async def _is_gone(guest: Guest) -> bool:
    return bool((await guest.cart())["gone"])


@pytest.mark.proves("P2", "P15")
async def test_a_cart_has_its_limits(guest: Guest) -> None:
    for n in range(20):
        await guest.add(quantity=1 + n)
    full = await guest.post("/cart/items", json={"pizza_id": "margherita", "size": "small"})
    assert full.status_code == 409
    assert full.json()["type"] == "/problems/conflict"
    assert len((await guest.cart())["items"]) == 20


@pytest.mark.proves("P2")
async def test_a_cart_filled_before_signing_in_is_taken_along(house: House) -> None:
    http = await house.open()
    token = (await http.post("/carts")).json()["cart_token"]
    cart = {"Cart-Token": token}
    line = {"pizza_id": "margherita", "size": "medium"}
    assert (await http.post("/cart/items", json=line, headers=cart)).status_code == 201
    assert (await http.get("/cart", headers=cart)).json()["total"] == eur("12.99")
    body = {"payment": {"token": "tok_approved"}}
    assert (await http.post("/cart/checkout", json=body, headers=cart)).status_code == 401

    session = (await http.post("/sessions", json={"name": "Ada"}, headers=cart)).json()
    guest = Guest(http, session)
    assert (await guest.cart())["total"] == eur("12.99")
    assert (await http.get("/cart", headers=cart)).json()["items"] == []
    assert (await guest.check_out()).status_code == 201


@pytest.mark.proves("P2")
async def test_a_returning_guest_takes_over_a_cart_once(house: House, guest: Guest) -> None:
    await guest.add(quantity=5)
    nobody = Guest(guest.http, {"customer_id": "", "token": ""})
    token = (await guest.http.post("/carts")).json()["cart_token"]
    nobody.headers = {"Cart-Token": token}
    for n in range(20):
        await nobody.add(quantity=n + 1)
    redis: Any = house.kitchen.connections.commands
    (key,) = [key async for key in redis.scan_iter("*nobodys-carts*:record:*")]
    full = await redis.dump(key)
    for _ in range(2):
        await redis.restore(key, 60_000, full, replace=True)  # as if it had died before it was emptied
        merged = await guest.post("/cart/merge", headers={"Cart-Token": token})
        assert merged.status_code == 200, merged.text
        assert [line["quantity"] for line in merged.json()["items"]] == [5, *range(1, 20)]
        assert [line["quantity"] for line in (await nobody.cart())["items"]] == [20]


@pytest.mark.proves("P2", "P15")
async def test_a_cart_of_nobody_is_found_by_its_token_alone(house: House, guest: Guest) -> None:
    assert (await guest.http.get("/cart")).status_code == 401
    unknown = await guest.http.get("/cart", headers={"Cart-Token": "x" * 43})
    assert unknown.status_code == 404
    assert unknown.json()["type"] == "/problems/cart-gone"
    assert (await guest.http.get("/cart", headers={"Cart-Token": "short"})).status_code == 422
    token = (await guest.http.post("/carts")).json()["cart_token"]
    redis: Any = house.kitchen.connections.commands
    assert not [key async for key in redis.scan_iter(f"*{token}*")]
    other = await house.guest(guest.http)
    line_id = await guest.add()
    assert (await other.patch(f"/cart/items/{line_id}", {"quantity": 9})).status_code == 404
    assert (await guest.cart())["items"][0]["quantity"] == 1
