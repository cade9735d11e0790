"""What happens around every request: trace, request id, body limit, metrics, and the last line of defence."""

import time
from collections.abc import MutableMapping
from typing import Any, Final

import structlog
from opentelemetry.trace import SpanKind
from pizzeria_contracts.problems import ProblemType
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pizzeria_chassis.ids import new_id
from pizzeria_chassis.metrics import HttpMetrics
from pizzeria_chassis.problems import Problem, problem_response
from pizzeria_chassis.telemetry import continue_trace

__all__ = ["BodyLimit", "RequestContext"]

_log = structlog.get_logger(__name__)

MAX_BODY_BYTES: Final = 64 * 1024
MAX_REQUEST_ID: Final = 100


class RequestContext:
    """Outermost: continues the caller's trace, names the request in logs and answer, counts and times it.

    An error that no handler knew is logged here and answered as a 500 without a word about the inside.
    """

    def __init__(self, app: ASGIApp, *, metrics: HttpMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        request_id = _request_id(headers.get("x-request-id"))
        status = 500
        started = time.perf_counter()

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["x-request-id"] = request_id
            await send(message)

        with continue_trace(
            headers.get("traceparent"),
            f"HTTP {scope['method']}",
            kind=SpanKind.SERVER,
            request_id=request_id,
        ):
            try:
                await self._app(scope, receive, send_with_id)
            except Exception as error:  # noqa: BLE001 - the edge of the service: nothing may pass it
                _log.error("request_failed", method=scope["method"], route=_route(scope), exc_info=error)
                if status == 500:  # nothing is sent yet
                    await problem_response(_internal(request_id))(scope, receive, send_with_id)
            finally:
                self._metrics.observe(scope["method"], _route(scope), status, time.perf_counter() - started)


def _request_id(given: str | None) -> str:
    # A caller's id goes into logs and an answer header: only what is plainly an id is taken over.
    if (
        given
        and len(given) <= MAX_REQUEST_ID
        and given.replace("-", "").replace("_", "").isalnum()
        and given.isascii()
    ):
        return given
    return new_id()


def _route(scope: MutableMapping[str, Any]) -> str:
    # The template, never the path: ids in labels would make a metric per order.
    route = scope.get("route")
    return getattr(route, "path", "unknown")


def _internal(request_id: str) -> Problem:
    return Problem(
        ProblemType.INTERNAL,
        "Our fault",
        500,
        "Something went wrong here; quote the request id when you tell us.",
        request_id=request_id,
    )


class BodyLimit:
    """Refuses bodies above 64 kB with 413, announced or not."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = Headers(scope=scope).get("content-length", "0")
        if announced.isdigit() and int(announced) > MAX_BODY_BYTES:
            await problem_response(_too_large())(scope, receive, send)
            return
        received = 0

        async def limited() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > MAX_BODY_BYTES:
                raise HTTPException(413, "A body may have at most 64 kB.")
            return message

        await self._app(scope, limited, send)


def _too_large() -> Problem:
    return Problem(
        ProblemType.BODY_TOO_LARGE,
        "Body too large",
        413,
        f"A body may have at most {MAX_BODY_BYTES // 1024} kB.",
    )
