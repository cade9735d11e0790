"""Ids that sort by the time they were made."""

from uuid_utils import uuid7

__all__ = ["new_id"]


def new_id() -> str:
    """Return a UUIDv7 in its canonical text form."""
    return str(uuid7())
