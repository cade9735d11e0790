"""What requests to the kitchen have in common: who may, page marks, keys."""

import base64
import binascii
from datetime import datetime
from typing import Annotated

from fastapi import Depends, Header, Path, Query
from fastapi.exceptions import RequestValidationError
from pizzeria_chassis.auth import Principal, require

Cook = Annotated[Principal, Depends(require("cook"))]
Driver = Annotated[Principal, Depends(require("driver"))]
Staff = Annotated[Principal, Depends(require("cook", "driver"))]

Slug = Annotated[str, Path(min_length=1, max_length=64)]
NewSlug = Annotated[str, Path(pattern=r"^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$", description="A slug.")]
Id = Annotated[str, Path(min_length=1, max_length=64)]
Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key", min_length=1, max_length=255, description="The same key: the same answer."
    ),
]
Limit = Annotated[int, Query(ge=1, le=500)]
After = Annotated[str | None, Query(max_length=200, description="`next` of the page before.")]

Mark = tuple[datetime, str]


def encode_mark(time: datetime | None, name: str) -> str:
    """The opaque end of a page."""
    return base64.urlsafe_b64encode(f"{time.isoformat() if time else ''}|{name}".encode()).decode()


def decode_mark(after: str | None) -> Mark | None:
    """Raises: RequestValidationError when it is none of ours."""
    if after is None:
        return None
    try:
        time, name = base64.urlsafe_b64decode(after.encode()).decode().split("|")
        moment = datetime.fromisoformat(time)
        if moment.tzinfo is None:
            raise ValueError("a mark has a time with zone")
    except (ValueError, binascii.Error) as error:
        fault = {"type": "value_error", "loc": ("query", "after"), "msg": "Use `next` of the page before."}
        raise RequestValidationError([fault]) from error
    return moment, name
