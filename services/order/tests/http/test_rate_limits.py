"""How often a guest may order and an address may sign in; on every answer what is left."""

import re

import pytest
from order_service.entrypoints.limits import _address
from rediscore.settings import RedisSettings
from starlette.requests import Request

from services.order.tests.harness import Guest, House


@pytest.mark.proves("P3", "R12")
async def test_a_guest_who_orders_too_often_is_held_back_by_all_replicas(house: House) -> None:
    first, second = [await house.open(order_rate_limit=3) for _ in range(2)]
    guest = await house.guest(first)
    answers = [await guest.order() for _ in range(2)]
    answers.append(await guest.order(quantity="wrong"))  # what is refused for another reason counts too
    held_back = await Guest.of(second, guest).order()

    assert [answer.status_code for answer in answers] == [201, 201, 422]
    for left, answer in zip((2, 1, 0), answers, strict=True):
        assert answer.headers["ratelimit-policy"] == '"orders";q=3;w=60'
        assert re.fullmatch(rf'"orders";r={left};t=\d+', answer.headers["ratelimit"])
    assert held_back.status_code == 429
    assert held_back.headers["content-type"] == "application/problem+json"
    assert held_back.json()["type"] == "/problems/rate-limited"
    assert 1 <= int(held_back.headers["retry-after"]) <= 20
    assert re.fullmatch(r'"orders";r=0;t=\d+', held_back.headers["ratelimit"])
    assert "ratelimit" not in (await guest.get("/orders")).headers
    assert (await (await house.guest(second)).order()).status_code == 201
    (count,) = house.rows("SELECT count(*) FROM orders")
    assert count == (3,)


@pytest.mark.proves("R12")
async def test_an_address_that_signs_in_too_often_is_held_back(house: House) -> None:
    http = await house.open(session_rate_limit=2)
    answers = [await http.post("/sessions", json={"name": "Ada"}) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [201, 201, 429]
    assert answers[2].json()["type"] == "/problems/rate-limited"
    assert answers[2].headers["ratelimit-policy"] == '"sessions";q=2;w=60'


@pytest.mark.proves("P3", "RL5")
async def test_without_redis_nobody_is_held_back(house: House) -> None:
    nowhere = RedisSettings.from_url("redis://127.0.0.1:1")
    guest = await house.guest(await house.open(order_rate_limit=1, redis=nowhere))
    answers = [await guest.order() for _ in range(4)]

    assert [answer.status_code for answer in answers] == [201] * 4
    assert answers[0].headers["ratelimit-policy"] == '"orders";q=1;w=60'
    assert "ratelimit" not in answers[0].headers


@pytest.mark.parametrize(
    ("host", "who"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("testclient", "testclient"),
    ],
)
def test_an_ipv6_client_is_its_network(host: str, who: str) -> None:
    assert _address(Request({"type": "http", "client": (host, 1)})) == who
