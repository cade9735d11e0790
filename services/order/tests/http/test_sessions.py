"""Signing in and out: SQL says who is signed in, Redis answers for it for moments."""

import asyncio
import hashlib
from typing import Any

import pytest
from rediscore.settings import RedisSettings
from rediscore.testing import eventually
from rediscore.testing.proxy import FaultProxy

from services.order.tests.harness import ON_BOTH_DATABASES, Guest, House


async def test_a_guest_is_known_by_the_token(house: House, guest: Guest) -> None:
    me = (await guest.get("/me")).json()
    assert me["id"] == guest.id
    assert me["name"] == "Ada"
    assert me["email"] is None


async def test_only_the_digest_of_a_token_is_kept(house: House, guest: Guest) -> None:
    token = guest.headers["Authorization"].removeprefix("Bearer ")
    assert len(token) >= 40
    assert house.rows("SELECT token_sha256 FROM sessions") == [(hashlib.sha256(token.encode()).hexdigest(),)]
    redis: Any = house.kitchen.connections.commands
    assert not [key async for key in redis.scan_iter(f"*{token[-43:]}*")]


@pytest.mark.proves("P15")
async def test_signing_out_ends_this_session_alone(house: House, guest: Guest) -> None:
    other = await house.guest(guest.http)
    assert (await guest.http.delete("/sessions/current", headers=guest.headers)).status_code == 204
    assert (await guest.get("/me")).status_code == 401
    assert (await other.get("/me")).status_code == 200


@pytest.mark.proves("P15")
async def test_signing_out_everywhere_holds_at_every_replica(house: House, guest: Guest) -> None:
    elsewhere = Guest.of(await house.open(), guest)
    assert (await elsewhere.get("/me")).status_code == 200
    assert (await guest.http.delete("/sessions", headers=guest.headers)).status_code == 204
    assert (await guest.get("/me")).status_code == 401
    assert (await elsewhere.get("/me")).status_code == 401


@pytest.mark.proves("P2", "R13")
async def test_a_session_runs_out_however_busy(house: House) -> None:
    guest = await house.guest(await house.open(session_days=0.000001))
    assert (await guest.until_signed_out()).status_code == 401


@pytest.mark.proves("P2", "R13")
async def test_a_session_that_nobody_uses_ends_and_stays_ended(house: House) -> None:
    guest = await house.guest(await house.open(session_idle_days=0.2 / 86400))
    await asyncio.sleep(0.3)
    for _ in range(3):
        assert (await guest.get("/me")).status_code == 401
    await house.kitchen.connections.commands.flushdb()
    assert (await guest.get("/me")).status_code == 401


@ON_BOTH_DATABASES
@pytest.mark.proves("P2", "R13")
async def test_a_session_in_use_slides_up_to_its_end(house: House) -> None:
    day = 1 / 86400
    guest = await house.guest(
        await house.open(session_days=101.1 * day, session_idle_days=100 * day, session_vouch_seconds=0.01)
    )
    idle = "SELECT idle_until, expires_at FROM sessions"
    ((before, end),) = house.rows(idle)
    await asyncio.sleep(1.2)  # more than a hundredth of the idle time
    assert (await guest.get("/me")).status_code == 200
    assert house.rows(idle) == [(end, end)]
    assert before < end


@pytest.mark.proves("P2", "R13", "P15")
async def test_a_rotated_token_is_dead_at_every_replica(house: House, guest: Guest) -> None:
    elsewhere = Guest.of(await house.open(), guest)
    assert (await elsewhere.get("/me")).status_code == 200
    rotated = Guest(guest.http, (await guest.post("/sessions/rotate")).json())
    assert rotated.headers != guest.headers
    assert (await guest.get("/me")).status_code == 401
    assert (await elsewhere.get("/me")).status_code == 401
    assert (await guest.post("/sessions/rotate")).status_code == 401
    for _ in range(2):
        assert (await rotated.get("/me")).json()["id"] == guest.id
    assert house.rows("SELECT count(*) FROM sessions") == [(1,)]


@ON_BOTH_DATABASES
@pytest.mark.proves("P2", "P15")
async def test_all_sessions_of_a_guest_end_at_once_and_no_others(house: House, guest: Guest) -> None:
    second = Guest(guest.http, (await guest.post("/me/sessions")).json())
    other = await house.guest(guest.http)
    assert (await second.get("/me")).json()["id"] == guest.id
    assert (await second.delete("/sessions")).status_code == 204
    assert (await guest.get("/me")).status_code == 401
    assert (await second.get("/me")).status_code == 401
    assert (await other.get("/me")).status_code == 200


async def test_a_guest_keeps_the_twenty_newest_sessions(house: House, guest: Guest) -> None:
    for _ in range(20):
        newest = Guest(guest.http, (await guest.post("/me/sessions")).json())
        if (await guest.get("/me")).status_code == 401:
            break
    assert house.rows("SELECT count(*) FROM sessions") == [(20,)]
    assert (await newest.get("/me")).status_code == 200


@pytest.mark.proves("P2")
async def test_guests_stay_signed_in_when_redis_is_wiped(house: House, guest: Guest) -> None:
    assert (await guest.get("/me")).status_code == 200
    await house.kitchen.connections.commands.flushdb()
    for _ in range(2):
        assert (await guest.get("/me")).json()["id"] == guest.id
    rotated = Guest(guest.http, (await guest.post("/sessions/rotate")).json())
    assert (await rotated.get("/me")).status_code == 200
    assert (await guest.get("/me")).status_code == 401
    assert (await rotated.delete("/sessions/current")).status_code == 204
    assert (await rotated.get("/me")).status_code == 401


@pytest.mark.proves("P2", "P15")
async def test_signed_out_without_redis_is_signed_out_when_it_is_back(
    house: House, fault_proxy: FaultProxy
) -> None:
    away = house.redis.model_copy(update={"host": "127.0.0.1", "port": fault_proxy.port})
    vouch = {"session_vouch_seconds": 2}
    here = await house.open(redis=RedisSettings.model_validate(away), **vouch)
    there = await house.open(**vouch)  # reaches Redis all the time
    fault_proxy.cut()
    stays = await house.guest(here)  # signs in without Redis
    for _ in range(6):
        assert (await stays.get("/me")).status_code == 200  # until the breaker is open
    guest = await house.guest(there)
    assert (await guest.get("/me")).status_code == 200  # from now on Redis has SQL's word for 2 s
    assert (await Guest.of(here, guest).delete("/sessions")).status_code == 204
    assert (await guest.get("/me")).status_code == 401
    fault_proxy.restore()
    assert (await Guest.of(here, guest).get("/me")).status_code == 401
    assert (await stays.get("/me")).status_code == 200


@pytest.mark.proves("P2")
async def test_moments_after_sql_was_asked_redis_answers(house: House, guest: Guest) -> None:
    await guest.get("/me")
    await house.write(("DELETE FROM sessions", ()))  # nobody was told
    assert (await guest.get("/orders")).status_code == 200
    assert (await guest.until_signed_out()).status_code == 401  # 5 s later


async def test_what_has_run_out_is_deleted(house: House) -> None:
    guest = await house.guest(await house.open(idempotency_hours=0.00001))
    assert (await guest.order(key="k")).status_code == 201
    other = await house.guest(await house.open(session_days=0.000001))
    await other.until_signed_out()
    await house.open()  # tidies up at its start, and every hour
    await eventually(lambda: house.rows("SELECT customer_id FROM sessions") == [(guest.id,)])
    assert house.rows("SELECT count(*) FROM idempotency") == [(0,)]


async def test_staff_are_no_guests(guest: Guest) -> None:
    answer = await guest.http.get("/me", headers={"Authorization": "Bearer manager-token-of-a-test"})
    assert answer.status_code == 403
