"""Problem details (RFC 9457): the one shape of every error answer."""

from collections.abc import Mapping
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pizzeria_contracts.problems import ProblemType
from rediscore.breaker import CircuitOpen
from rediscore.retry import TRANSIENT
from starlette.exceptions import HTTPException

from pizzeria_chassis.errors import DatabaseUnavailable

__all__ = ["Problem", "install_problem_handlers", "not_found", "problem_response", "unavailable"]

MEDIA_TYPE: Final = "application/problem+json"


class Problem(Exception):  # noqa: N818 - the field's term
    """An error answer. Raise it in entry points; domain code raises its own errors.

    ``slug`` becomes the ``type`` ``/problems/<slug>``; ``extensions`` become further members.
    """

    def __init__(
        self,
        slug: str,
        title: str,
        status: int,
        detail: str,
        headers: Mapping[str, str] | None = None,
        **extensions: Any,
    ) -> None:
        super().__init__(detail)
        self.slug = str(slug)
        self.title = title
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})
        self.extensions = extensions


def not_found(detail: str = "There is nothing here that you may see.") -> Problem:
    return Problem(ProblemType.NOT_FOUND, "Not found", 404, detail)


def unavailable(detail: str, *, retry_after: int = 2) -> Problem:
    """Return a 503 that asks the client to come back after ``retry_after`` seconds."""
    return Problem(
        ProblemType.UNAVAILABLE, "Try again soon", 503, detail, headers={"Retry-After": str(retry_after)}
    )


def problem_response(problem: Problem) -> Response:
    content = {
        "type": f"/problems/{problem.slug}",
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail,
        **problem.extensions,
    }
    return JSONResponse(content, problem.status, headers=problem.headers, media_type=MEDIA_TYPE)


def install_problem_handlers(app: FastAPI) -> None:
    """Answer every error of ``app`` as a problem.

    Errors that nothing here knows are the business of the request middleware: it logs them and answers a
    500 that says nothing about the inside.
    """
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(DatabaseUnavailable, _on_database_unavailable)
    for redis_away in (*TRANSIENT, CircuitOpen):
        app.add_exception_handler(redis_away, _on_redis_unavailable)


async def _on_problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)  # noqa: S101 - registered for this class alone
    return problem_response(error)


async def _on_database_unavailable(_: Request, __: Exception) -> Response:
    return problem_response(unavailable("The database does not answer at the moment."))


async def _on_redis_unavailable(_: Request, __: Exception) -> Response:
    return problem_response(unavailable("Redis does not answer at the moment."))


async def _on_http_exception(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class alone
    slug, title = _HTTP_PROBLEMS.get(error.status_code, ("about-blank", "Error"))
    detail = _HTTP_DETAILS.get(error.status_code, str(error.detail))
    return problem_response(Problem(slug, title, error.status_code, detail, headers=error.headers))


_HTTP_PROBLEMS: Final[Mapping[int, tuple[str, str]]] = {
    400: (ProblemType.UNPARSABLE_BODY, "Unparsable body"),
    404: (ProblemType.NOT_FOUND, "Not found"),
    405: (ProblemType.METHOD_NOT_ALLOWED, "Method not allowed"),
    413: (ProblemType.BODY_TOO_LARGE, "Body too large"),
}
_HTTP_DETAILS: Final[Mapping[int, str]] = {
    400: "The body cannot be read.",
    404: "There is nothing at this address.",
    405: "This address does not take that method.",
}


async def _on_invalid_request(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this class alone
    faults = error.errors()
    if any(fault["type"] == "json_invalid" for fault in faults):
        return problem_response(
            Problem(ProblemType.UNPARSABLE_BODY, "Unparsable body", 400, "The body is not valid JSON.")
        )
    return problem_response(
        Problem(
            ProblemType.INVALID_INPUT,
            "Invalid input",
            422,
            "Some of the input is missing, unknown or wrong; see errors.",
            errors=[_fault(fault["loc"], fault["msg"]) for fault in faults],
        )
    )


def _fault(location: tuple[int | str, ...], message: str) -> dict[str, str]:
    place, *path = location
    detail = message.removeprefix("Value error, ")
    if place == "body":
        return {"pointer": "".join(f"/{_escape(str(part))}" for part in path), "detail": detail}
    # A JSON Pointer points into a body; a query, path or header field is named instead.
    return {"in": str(place), "parameter": ".".join(str(part) for part in path), "detail": detail}


def _escape(part: str) -> str:
    return part.replace("~", "~0").replace("/", "~1")
