"""What a database error means: try again, come back later, or a fault of ours."""

import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from pizzeria_chassis.errors import DatabaseUnavailable

__all__ = ["Conflict", "is_conflict", "unavailable_errors"]


class Conflict(Exception):  # noqa: N818 - named by what happened
    """Raise inside ``Database.transact`` to roll back and run the work again from the start."""


SERIALIZATION_FAILURE: Final = "40001"
DEADLOCK: Final = "40P01"
LOCK_NOT_AVAILABLE: Final = "55P03"
UNIQUE_VIOLATION: Final = "23505"
# Connection lost, server shut down or starting, too many connections, out of resources.
UNAVAILABLE_CLASSES: Final = ("08", "53", "57")
SQLITE_UNAVAILABLE: Final = (
    "is locked",  # said only after busy_timeout: a conflict that did not end
    "unable to open database",
    "disk i/o error",
    "database or disk is full",
)
_CONSTRAINT: Final = re.compile(r'unique constraint "(?P<name>[^"]+)"')


def is_conflict(error: BaseException, retriable_constraints: Collection[str]) -> bool:
    """Whether the same work may succeed when it runs again on what others committed meanwhile."""
    if isinstance(error, Conflict):
        return True
    if not isinstance(error, DBAPIError):
        return False
    state = _sqlstate(error)
    if isinstance(error, IntegrityError) and state == UNIQUE_VIOLATION:
        # SQLite has one writer at a time: there a repeated key is never a race.
        named = _CONSTRAINT.search(str(error.orig))
        return named is not None and named["name"] in retriable_constraints
    return state in (SERIALIZATION_FAILURE, DEADLOCK)


@contextmanager
def unavailable_errors() -> Iterator[None]:
    """Turn database errors that mean "out of reach" into DatabaseUnavailable; let the others through."""
    try:
        yield
    except (DBAPIError, PoolTimeoutError) as error:
        if _is_unavailable(error):
            raise DatabaseUnavailable("The database went away or stays locked.") from error
        raise


def _is_unavailable(error: BaseException) -> bool:
    """Whether the database is out of reach at the moment, or stayed locked for as long as we wait."""
    if isinstance(error, PoolTimeoutError):
        return True
    if not isinstance(error, DBAPIError):
        return False
    if error.connection_invalidated:
        return True
    state = _sqlstate(error)
    if state is not None:
        return state.startswith(UNAVAILABLE_CLASSES) or state == LOCK_NOT_AVAILABLE
    return any(sign in str(error.orig).lower() for sign in SQLITE_UNAVAILABLE)


def _sqlstate(error: DBAPIError) -> str | None:
    state = getattr(error.orig, "sqlstate", None)
    return state if isinstance(state, str) else None
