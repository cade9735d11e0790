"""The OpenAPI document says what errors really look like: problems, not FastAPI's own shape."""

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from pizzeria_chassis.problems import MEDIA_TYPE

__all__ = ["install_openapi", "problems"]

_PROBLEM_SCHEMA: Final = {
    "title": "Problem",
    "description": "RFC 9457 problem details.",
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "examples": ["/problems/invalid-input"]},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["detail"],
                "properties": {
                    "pointer": {"type": "string", "examples": ["/items/0/size"]},
                    "in": {"type": "string", "examples": ["query"]},
                    "parameter": {"type": "string", "examples": ["limit"]},
                    "detail": {"type": "string"},
                },
            },
        },
    },
}
_PROBLEM_CONTENT: Final = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}


def problems(**statuses: str) -> dict[int | str, dict[str, Any]]:
    """Return ``responses=`` of a route: ``problems(_404="No such order.", _409="Too late.")``."""
    return {
        int(status.removeprefix("_")): {"description": why, "content": _PROBLEM_CONTENT}
        for status, why in statuses.items()
    }


def install_openapi(app: FastAPI) -> None:
    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = get_openapi(
                title=app.title, version=app.version, description=app.description, routes=app.routes
            )
            app.openapi_schema = _with_problems(document)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _with_problems(document: dict[str, Any]) -> dict[str, Any]:
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas.pop("HTTPValidationError", None)
    schemas.pop("ValidationError", None)
    schemas["Problem"] = _PROBLEM_SCHEMA
    for operations in document.get("paths", {}).values():
        for operation in operations.values():
            responses = operation.setdefault("responses", {})
            refusals = _refusals_of(operation)
            if "422" in responses:
                refusals["422"] = "Invalid input; errors say where."
                del responses["422"]
            for status, why in refusals.items():
                responses.setdefault(status, {"description": why, "content": _PROBLEM_CONTENT})
    return document


def _refusals_of(operation: dict[str, Any]) -> dict[str, str]:
    """What the chassis may answer in place of the route."""
    refusals = {}
    if "requestBody" in operation:
        refusals["400"] = "The body cannot be read."
        refusals["413"] = "The body is too large."
    if "security" in operation:
        refusals["401"] = "No token, or an unknown one."
        refusals["403"] = "Wrong role."
    return refusals
