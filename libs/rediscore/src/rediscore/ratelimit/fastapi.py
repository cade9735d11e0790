"""Rate limits at an HTTP door, with the RateLimit fields of the IETF draft (extra `fastapi`).

draft-ietf-httpapi-ratelimit-headers:  RateLimit-Policy: "orders";q=10;w=60
                                       RateLimit: "orders";r=7;t=23
"""

from collections.abc import Awaitable, Callable, Mapping
from math import ceil
from typing import Annotated, Any, Final

from fastapi import Depends, Request, Response
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rediscore.errors import RediscoreError
from rediscore.ratelimit.answer import RateLimit
from rediscore.ratelimit.limiter import RateLimiter

__all__ = ["RateLimitHeaders", "TooManyRequests", "also_limited", "rate_limit_headers", "rate_limited"]

_SCOPE_KEY: Final = "rediscore.ratelimit"


class TooManyRequests(RediscoreError, HTTPException):  # noqa: N818
    """429 with `RateLimit-Policy`, `RateLimit` and `Retry-After` in `headers`.

    An HTTPException, so any app answers it; register a handler for another shape (problem+json).
    """

    def __init__(self, limiter: RateLimiter, answer: RateLimit) -> None:
        wait = max(1, ceil(answer.retry_after))
        headers = rate_limit_headers(limiter, answer) | {"Retry-After": str(wait)}
        HTTPException.__init__(self, 429, f"Too many requests; try again in {wait} s.", headers)
        self.answer = answer


def rate_limit_headers(limiter: RateLimiter, answer: RateLimit) -> dict[str, str]:
    """The two fields. Without `RateLimit` when Redis did not answer: nobody knows what is left."""
    policies = ", ".join(
        f'"{policy}";q={limit.spec[1]};w={ceil(limit.window.total_seconds())}'
        for policy, limit in limiter.policies
    )
    quotas = ", ".join(
        f'"{quota.policy}";r={quota.remaining};t={ceil(quota.reset_after)}' for quota in answer.quotas
    )
    return {"RateLimit-Policy": policies} | ({"RateLimit": quotas} if quotas else {})


def rate_limited(
    limiter: RateLimiter, *, key: Callable[..., str] | Callable[..., Awaitable[str]], cost: int = 1
) -> Callable[..., Awaitable[RateLimit]]:
    """A dependency that uses `cost` of the limit before the route runs: `Depends(rate_limited(...))`.

    Args:
        key: who is limited; a dependency itself, so `lambda request: ...` with a Request, or a function
            of the principal.

    Raises: TooManyRequests.
    """

    async def limit(request: Request, response: Response, who: Annotated[str, Depends(key)]) -> RateLimit:
        answer = await limiter.hit(who, cost)
        if not answer.allowed:
            raise TooManyRequests(limiter, answer)
        headers = rate_limit_headers(limiter, answer)
        response.headers.update(headers)
        request.scope.get(_SCOPE_KEY, {}).update(headers)
        return answer

    return limit


def also_limited(request: Request, fields: Mapping[str, str]) -> dict[str, str]:
    """Fields of one more limit, with those of the limits that this request has passed before it.

    For a limit that is no `RateLimiter`: answer with the result, and `RateLimitHeaders` says the same.
    """
    said: dict[str, str] = request.scope.get(_SCOPE_KEY, {})
    for name, value in fields.items():
        said[name] = f"{said[name]}, {value}" if name in said else value
    return said


class RateLimitHeaders:
    """Middleware that puts the fields on every answer of a limited route.

    Without it FastAPI drops them where a route returns a Response of its own or raises.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        fields: dict[str, Any] = {}
        scope[_SCOPE_KEY] = fields

        async def with_fields(message: Message) -> None:
            if fields and message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(fields)
            await send(message)

        await self._app(scope, receive, with_fields)
