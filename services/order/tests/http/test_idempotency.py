"""An Idempotency-Key makes repeats harmless, with Redis or without."""

import asyncio

import httpx
import pytest
from rediscore.settings import RedisSettings
from rediscore.testing import eventually
from rediscore.testing.proxy import FaultProxy

from services.order.tests.harness import ON_POSTGRESQL, Guest, House


@ON_POSTGRESQL
@pytest.mark.proves("P3")
async def test_a_repeat_gets_the_stored_answer(house: House, guest: Guest) -> None:
    first = await guest.order(key="k-1")
    assert "idempotency-replayed" not in first.headers
    await guest.until_status(first.json()["id"], "confirmed")
    house.menu.away = True  # a repeat needs no menu
    again = await guest.order(key="k-1")
    assert again.status_code == 201
    assert again.headers["idempotency-replayed"] == "true"
    assert again.content == first.content
    assert again.headers["location"] == first.headers["location"]
    assert house.rows("SELECT count(*) FROM orders") == [(1,)]


async def test_spelling_out_a_default_is_the_same_request(guest: Guest) -> None:
    first = await guest.order(key="k")
    again = await guest.order(key="k", priority="standard", notes=None)
    assert again.json()["id"] == first.json()["id"]


@pytest.mark.proves("P3")
async def test_another_body_under_the_same_key_is_refused(house: House, guest: Guest) -> None:
    await guest.order(key="k")
    answer = await guest.order(key="k", priority="express")
    assert answer.status_code == 409
    assert answer.json()["type"] == "/problems/idempotency-key-reused"
    assert house.rows("SELECT count(*) FROM orders") == [(1,)]


async def test_keys_are_per_guest(house: House, guest: Guest) -> None:
    other = await house.guest(guest.http)
    first, second = await guest.order(key="k"), await other.order(key="k")
    assert first.json()["id"] != second.json()["id"]


@pytest.mark.proves("P3")
async def test_a_repeat_while_the_first_runs_is_told_to_wait(house: House, guest: Guest) -> None:
    await guest.http.get("/menu")
    house.menu.open.clear()  # the first waits for its menu
    asked = house.menu.asked
    first = asyncio.create_task(guest.order(key="k"))
    await eventually(lambda: house.menu.asked > asked)
    second = await guest.order(key="k")
    assert second.status_code == 409
    assert second.json()["type"] == "/problems/request-in-progress"
    assert int(second.headers["retry-after"]) >= 1
    house.menu.open.set()
    assert (await first).status_code == 201
    assert (await guest.order(key="k")).headers["idempotency-replayed"] == "true"


@pytest.mark.proves("P3")
async def test_without_redis_orders_and_repeats_go_on(house: House, fault_proxy: FaultProxy) -> None:
    through = house.redis.model_copy(update={"host": "127.0.0.1", "port": fault_proxy.port})
    house.redis = RedisSettings.model_validate(through)
    guest = await house.guest(await house.open())
    await guest.http.get("/menu")
    fault_proxy.cut()
    first, again = await guest.order(key="k"), await guest.order(key="k")
    assert first.status_code == 201
    assert again.content == first.content
    assert (await guest.until_status(first.json()["id"], "confirmed"))["payment"]["status"] == "captured"
    ready = await guest.http.get("/health/ready")
    assert ready.status_code == 200
    assert ready.json()["status"] == "degraded"
    fault_proxy.restore()
    await house.kitchen.accept(first.json()["id"])
    await guest.until(first.json()["id"], lambda order: order["estimated_ready_at"] == "2026-11-21T20:00:00Z")


@pytest.mark.proves("P3")
async def test_a_key_that_has_run_out_may_be_used_again(house: House) -> None:
    guest = await house.guest(await house.open(idempotency_hours=1 / 3600))
    first = await guest.order(key="k")
    assert (await guest.order(key="k", priority="express")).status_code == 409

    async def try_again() -> list[httpx.Response]:
        answer = await guest.order(key="k", priority="express")
        return [answer] if answer.status_code != 409 else []

    (second,) = await eventually(try_again, every=0.1)
    assert second.status_code == 201
    assert second.json()["id"] != first.json()["id"]


@pytest.mark.parametrize("key", ["", "x" * 256, "tab\there"])
async def test_a_key_that_is_none_is_refused(house: House, guest: Guest, key: str) -> None:
    answer = await guest.order(key=key)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["parameter"].lower() == "idempotency-key"
    assert house.rows("SELECT count(*) FROM orders") == [(0,)]
