"""``If-Match`` and ``If-None-Match``: nobody overwrites what they have not seen."""

from collections.abc import Callable
from typing import Annotated

from fastapi import Header
from pizzeria_chassis.problems import Problem
from pizzeria_contracts.problems import ProblemType

Precondition = Callable[[int | None], None]
"""Takes the current version, None when there is no such pizza; raises a Problem when it does not fit."""

IfMatch = Annotated[
    str | None,
    Header(description='The ETag that the change is based on, e.g. `"3"`; or `*`.', examples=['"3"']),
]
IfNoneMatch = Annotated[str | None, Header(description="`*`: only if there is no such pizza yet.")]

Known = Annotated[
    str | None, Header(alias="If-None-Match", description="ETags of what the client has: 304 when one fits.")
]


def knows(if_none_match: str, tag: str) -> bool:
    """Whether the client has this already; weak comparison (RFC 9110, 13.1.2)."""
    tags = [known.strip().removeprefix("W/") for known in if_none_match.split(",")]
    return "*" in tags or tag in tags


def matching(if_match: str | None) -> Precondition:
    """The pizza must exist in the version that ``If-Match`` names. Without the header: 428."""

    def check(version: int | None) -> None:
        if if_match is None:
            raise Problem(
                ProblemType.VERSION_REQUIRED,
                "Version required",
                428,
                "Send the ETag of the pizza that you have seen as If-Match.",
            )
        if version is None or not _names(if_match, version):
            raise _mismatch(version)

    return check


def matching_or_new(if_match: str | None, if_none_match: str | None) -> Precondition:
    """As ``matching`` for a pizza that exists; a new one needs no header, and no ``If-Match``."""

    def check(version: int | None) -> None:
        if version is None and if_match is None:
            return
        if if_none_match is not None and version is not None:
            raise _mismatch(version)
        matching(if_match)(version)

    return check


def _names(header: str, version: int) -> bool:
    # Strong comparison: W/"3" never matches. Bare numbers are taken, many clients send them.
    tags = [tag.strip() for tag in header.split(",")]
    return "*" in tags or f'"{version}"' in tags or str(version) in tags


def _mismatch(version: int | None) -> Problem:
    seen = "it does not exist" if version is None else f"it is at version {version}"
    return Problem(
        ProblemType.VERSION_MISMATCH,
        "Version mismatch",
        412,
        f"The pizza is not what you have seen: {seen}. Read it again, then change it.",
    )
