"""Every error is a problem of RFC 9457, says where, and says nothing about the inside."""

from typing import Any

import httpx
import pytest
import structlog
from fastapi import APIRouter, FastAPI
from pizzeria_chassis.app import Service, create_app
from pizzeria_chassis.auth import Authenticator
from pizzeria_chassis.errors import DatabaseUnavailable
from pizzeria_chassis.problems import MEDIA_TYPE, Problem
from pizzeria_chassis.requests import RequestBody
from pizzeria_chassis.testing import caller
from pydantic import Field
from redis.exceptions import ConnectionError as RedisConnectionError


class Line(RequestBody):
    pizza_id: str
    size: str = Field(pattern="^(small|medium|large)$")


class Order(RequestBody):
    items: list[Line]


@pytest.fixture
def app() -> FastAPI:
    router = APIRouter()

    @router.post("/orders")
    async def order(body: Order) -> int:
        return len(body.items)

    @router.get("/orders")
    async def orders(limit: int = 10) -> int:
        return limit

    @router.get("/bug")
    async def bug() -> None:
        raise KeyError("secret-of-the-house")

    @router.get("/database")
    async def database() -> None:
        raise DatabaseUnavailable("postgresql://db refused")

    @router.get("/redis")
    async def redis() -> None:
        raise RedisConnectionError("redis://10.0.0.1 refused")

    @router.get("/own")
    async def own() -> None:
        raise Problem("too-late", "Too late", 409, "Cooking has begun.", headers={"X-A": "1"}, since="noon")

    return create_app(
        Service(name="shop", description="A shop.", authenticator=Authenticator({}), routers=[router])
    )


async def _send(app: FastAPI, method: str, path: str, **options: Any) -> httpx.Response:
    async with caller(app) as client:
        answer = await client.request(method, path, **options)
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == MEDIA_TYPE
        problem = answer.json()
        assert problem["type"].startswith("/problems/")
        assert problem["status"] == answer.status_code
        assert problem["title"]
        assert problem["detail"]
    return answer


async def test_invalid_input_points_at_each_field(app: FastAPI) -> None:
    body = {"items": [{"pizza_id": "a", "size": "huge"}, {"size": "small"}], "coupon": "x", "a/b~c": 1}
    answer = await _send(app, "POST", "/orders", json=body)
    assert answer.status_code == 422
    assert answer.json()["type"] == "/problems/invalid-input"
    pointers = {error["pointer"] for error in answer.json()["errors"]}
    assert pointers == {"/items/0/size", "/items/1/pizza_id", "/coupon", "/a~1b~0c"}
    assert all(error["detail"] for error in answer.json()["errors"])


async def test_a_body_of_the_wrong_kind_points_at_the_whole(app: FastAPI) -> None:
    answer = await _send(app, "POST", "/orders", json=[1])
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [""]


async def test_a_query_parameter_is_named(app: FastAPI) -> None:
    answer = await _send(app, "GET", "/orders?limit=many")
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert (error["in"], error["parameter"]) == ("query", "limit")


@pytest.mark.parametrize("content", [b"{", b"", b"\xff\xfe", b'{"items": [}'])
async def test_an_unparsable_body_is_400(app: FastAPI, content: bytes) -> None:
    answer = await _send(
        app, "POST", "/orders", content=content, headers={"content-type": "application/json"}
    )
    assert answer.status_code in ({422} if content == b"" else {400})


async def test_no_such_address_and_no_such_method(app: FastAPI) -> None:
    assert (await _send(app, "GET", "/nowhere")).json()["type"] == "/problems/not-found"
    wrong = await _send(app, "PUT", "/orders")
    assert wrong.status_code == 405
    assert wrong.json()["type"] == "/problems/method-not-allowed"
    assert wrong.headers["allow"]


async def test_a_fault_of_ours_says_nothing_about_the_inside_and_is_logged(app: FastAPI) -> None:
    with structlog.testing.capture_logs() as logs:
        answer = await _send(app, "GET", "/bug", headers={"x-request-id": "call-7"})
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert "KeyError" not in answer.text
    assert answer.json()["request_id"] == answer.headers["x-request-id"] == "call-7"
    (line,) = [line for line in logs if line["event"] == "request_failed"]
    assert isinstance(line["exc_info"], KeyError)


@pytest.mark.parametrize("path", ["/database", "/redis"])
async def test_a_dependency_that_is_away_is_503_with_retry_after(app: FastAPI, path: str) -> None:
    answer = await _send(app, "GET", path)
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert "refused" not in answer.text


async def test_a_problem_carries_headers_and_extensions(app: FastAPI) -> None:
    answer = await _send(app, "GET", "/own")
    assert answer.status_code == 409
    assert answer.headers["x-a"] == "1"
    assert answer.json()["since"] == "noon"
    assert answer.json()["type"] == "/problems/too-late"


async def test_a_body_above_64_kb_is_refused_announced_or_not(app: FastAPI) -> None:
    big = b'{"items": [' + b" " * 65_536 + b"]}"

    async def in_pieces() -> Any:
        for start in range(0, len(big), 8192):
            yield big[start : start + 8192]

    headers = {"content-type": "application/json"}
    assert (await _send(app, "POST", "/orders", content=big, headers=headers)).status_code == 413
    assert (await _send(app, "POST", "/orders", content=in_pieces(), headers=headers)).status_code == 413
    fits = b'{"items": [' + b" " * 60_000 + b"]}"
    assert (await _send(app, "POST", "/orders", content=fits, headers=headers)).status_code == 200


@pytest.mark.parametrize(
    "given", ["a" * 101, "two words", "a\u00e9".encode("latin-1").decode("latin-1"), "x;y"]
)
async def test_a_request_id_that_is_none_is_replaced(app: FastAPI, given: str) -> None:
    answer = await _send(app, "GET", "/orders", headers={"x-request-id": given.encode("latin-1")})
    assert answer.headers["x-request-id"] != given
    assert len(answer.headers["x-request-id"]) == 36


async def test_openapi_shows_problems_and_not_the_frameworks_own_errors(app: FastAPI) -> None:
    document = app.openapi()
    assert "HTTPValidationError" not in document["components"]["schemas"]
    invalid = document["paths"]["/orders"]["post"]["responses"]["422"]
    assert list(invalid["content"]) == [MEDIA_TYPE]
