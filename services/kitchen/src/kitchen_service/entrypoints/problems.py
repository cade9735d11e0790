"""The one place where the kitchen's refusals become HTTP statuses."""

from collections.abc import Mapping
from typing import Final

from fastapi import FastAPI, Request, Response
from pizzeria_chassis.problems import Problem, problem_response

from kitchen_service.domain.errors import Kind, KitchenError, StationFull

STATUS: Final[Mapping[Kind, int]] = {Kind.NOT_FOUND: 404, Kind.CONFLICT: 409, Kind.UNAVAILABLE: 503}


def install_kitchen_problems(app: FastAPI) -> None:
    app.add_exception_handler(KitchenError, _on_refusal)


async def _on_refusal(_: Request, error: Exception) -> Response:
    assert isinstance(error, KitchenError)  # noqa: S101 - registered for this class alone
    headers = {}
    if error.kind is Kind.UNAVAILABLE:
        headers["Retry-After"] = "2"
    elif isinstance(error, StationFull):
        headers["Retry-After"] = "1"
    return problem_response(Problem(error.slug, error.title, STATUS[error.kind], str(error), headers=headers))
