"""What our refusals look like over HTTP; the one place that knows of status codes for them."""

from math import ceil

from fastapi import FastAPI, Request, Response
from pizzeria_chassis.problems import Problem, not_found, problem_response
from pizzeria_contracts.problems import ProblemType
from rediscore.ratelimit.fastapi import RateLimitHeaders, TooManyRequests, also_limited

from order_service.domain.errors import (
    CartError,
    InProgress,
    KeyReused,
    KitchenFull,
    MenuUnavailable,
    OrderError,
    OrdersOpen,
    SoldOut,
    TooLateToCancel,
    UnknownGuest,
    UnknownOrder,
    Unorderable,
)
from order_service.entrypoints.cart_problems import cart_problem


def install_refusals(app: FastAPI) -> None:
    """Answer this service's own errors as problems, and tell clients on every answer what is left to them."""
    app.add_exception_handler(OrderError, _refuse)
    app.add_exception_handler(TooManyRequests, _hold_back)
    app.add_middleware(RateLimitHeaders)


async def _refuse(request: Request, error: Exception) -> Response:
    if isinstance(error, KitchenFull):
        return problem_response(_no_room(request, error))
    return problem_response(_problem(error))


def _no_room(request: Request, error: KitchenFull) -> Problem:
    seconds = ceil(error.empty_after.total_seconds())
    quota = {
        "RateLimit-Policy": f'"kitchen";q={error.room};w={seconds}',
        "RateLimit": f'"kitchen";r=0;t={seconds}',
    }
    headers = {**also_limited(request, quota), "Retry-After": str(ceil(error.retry_after.total_seconds()))}
    return Problem(ProblemType.KITCHEN_FULL, "The kitchen is full", 429, str(error), headers=headers)


async def _hold_back(_: Request, error: Exception) -> Response:
    assert isinstance(error, TooManyRequests)  # noqa: S101 - registered for this class alone
    problem = Problem(ProblemType.RATE_LIMITED, "Too many requests", 429, error.detail, headers=error.headers)
    return problem_response(problem)


def _problem(error: Exception) -> Problem:
    detail = str(error)
    match error:
        case Unorderable():
            slug, title = ProblemType.INVALID_INPUT, "Invalid input"
            if isinstance(error, SoldOut):
                slug, title = ProblemType.PIZZA_UNAVAILABLE, "Not available now"
            errors = [{"pointer": fault.pointer, "detail": fault.detail} for fault in error.faults]
            return Problem(slug, title, 422, "Some of this cannot be ordered; see errors.", errors=errors)
        case CartError():
            return cart_problem(error)
        case UnknownOrder():
            return not_found(detail)
        case UnknownGuest():
            headers = {"WWW-Authenticate": "Bearer"}
            return Problem(ProblemType.UNAUTHENTICATED, "Who are you?", 401, detail, headers=headers)
        case OrdersOpen():
            return Problem(ProblemType.CONFLICT, "Orders under way", 409, detail)
        case TooLateToCancel():
            return Problem(ProblemType.TOO_LATE_TO_CANCEL, "Too late to cancel", 409, detail)
        case KeyReused():
            return Problem(ProblemType.IDEMPOTENCY_KEY_REUSED, "Key used before", 409, detail)
        case InProgress():
            headers = {"Retry-After": "1"}
            return Problem(ProblemType.REQUEST_IN_PROGRESS, "Still running", 409, detail, headers=headers)
        case MenuUnavailable():
            headers = {"Retry-After": "5"}
            return Problem(ProblemType.MENU_UNAVAILABLE, "No menu", 503, detail, headers=headers)
    raise error
