"""Signing in and out; no Redis is asked."""

import hashlib

import pytest
from rediscore.testing import eventually

from services.order.tests.harness import Guest, House


async def test_a_guest_is_known_by_the_token(house: House, guest: Guest) -> None:
    me = (await guest.get("/me")).json()
    assert me["id"] == guest.id
    assert me["name"] == "Ada"
    assert me["email"] is None


async def test_only_the_digest_of_a_token_is_kept(house: House, guest: Guest) -> None:
    token = guest.headers["Authorization"].removeprefix("Bearer ")
    assert len(token) >= 40
    assert house.rows("SELECT token_sha256 FROM sessions") == [(hashlib.sha256(token.encode()).hexdigest(),)]


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


async def test_a_session_runs_out(house: House) -> None:
    guest = await house.guest(await house.open(session_days=0.000001))
    assert (await guest.until_signed_out()).status_code == 401


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
