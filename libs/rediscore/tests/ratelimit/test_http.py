"""The limit at an HTTP door."""

import re
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Annotated

import httpx
import pytest
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from rediscore.client import RedisConnections
from rediscore.ratelimit import RateLimit, RateLimiter, SlidingLog, SlidingWindow
from rediscore.ratelimit.fastapi import RateLimitHeaders, TooManyRequests, rate_limited
from rediscore.settings import RedisSettings

pytestmark = pytest.mark.proves("R12", "P3")

MakeLimiter = Callable[..., RateLimiter]

POLICY = '"minute";q=4;w=60, "hour";q=100;w=3600'


def app_of(limiter: RateLimiter) -> FastAPI:
    app = FastAPI()
    app.add_middleware(RateLimitHeaders)

    def who(request: Request) -> str:
        return request.headers["x-client"]

    limited = rate_limited(limiter, key=who)

    @app.get("/plain")
    async def plain(limit: Annotated[RateLimit, Depends(limited)]) -> int:
        return limit.remaining

    @app.get("/own")
    async def own(_: Annotated[RateLimit, Depends(limited)]) -> Response:
        return PlainTextResponse("mine")

    @app.get("/error")
    async def error(_: Annotated[RateLimit, Depends(limited)]) -> None:
        raise HTTPException(409)

    @app.get("/free")
    async def free() -> str:
        return "free"

    return app


@pytest.fixture
async def http(make_limiter: MakeLimiter) -> AsyncIterator[httpx.AsyncClient]:
    limiter = make_limiter(
        SlidingLog(4, timedelta(minutes=1), name="minute"),
        SlidingWindow(100, timedelta(hours=1), name="hour"),
    )
    transport = httpx.ASGITransport(app_of(limiter))
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
        yield client


async def test_every_answer_of_a_limited_route_carries_the_fields(http: httpx.AsyncClient) -> None:
    left = []
    for path in ("/plain", "/own", "/error", "/plain", "/plain", "/own"):
        answer = await http.get(path, headers={"X-Client": "ada"})
        assert answer.headers.get_list("ratelimit-policy") == [POLICY]
        (field,) = answer.headers.get_list("ratelimit")
        quota = re.fullmatch(r'"minute";r=(\d+);t=(\d+), "hour";r=(\d+);t=(\d+)', field)
        assert quota is not None
        assert int(quota[2]) in (59, 60)
        left.append((answer.status_code, int(quota[1]), int(quota[3])))

    assert left == [(200, 3, 99), (200, 2, 98), (409, 1, 97), (200, 0, 96), (429, 0, 96), (429, 0, 96)]
    assert "ratelimit" not in (await http.get("/free")).headers
    assert (await http.get("/own", headers={"X-Client": "bob"})).status_code == 200


async def test_a_refusal_says_when_to_come_back_and_can_take_another_shape(make_limiter: MakeLimiter) -> None:
    app = app_of(make_limiter(SlidingLog(1, timedelta(minutes=1))))

    @app.exception_handler(TooManyRequests)
    async def problem(_: Request, error: TooManyRequests) -> Response:
        return JSONResponse(
            {"wait": error.answer.retry_after}, 429, error.headers, media_type="application/problem+json"
        )

    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
        await client.get("/plain", headers={"X-Client": "ada"})
        refused = await client.get("/plain", headers={"X-Client": "ada"})

    assert refused.status_code == 429
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.headers["retry-after"] in ("59", "60")
    assert refused.headers["ratelimit-policy"] == '"api";q=1;w=60'
    assert re.fullmatch(r'"api";r=0;t=\d+', refused.headers["ratelimit"])


async def test_without_redis_the_policy_is_told_but_no_quota(make_limiter: MakeLimiter) -> None:
    nowhere = RedisConnections(RedisSettings.from_url("redis://127.0.0.1:1"))
    app = app_of(make_limiter(SlidingLog(1, timedelta(minutes=1)), through=nowhere))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
        answer = await client.get("/own", headers={"X-Client": "ada"})

    assert answer.status_code == 200
    assert answer.headers["ratelimit-policy"] == '"api";q=1;w=60'
    assert "ratelimit" not in answer.headers
    await nowhere.aclose()
