"""What a caller gets of a session."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Session(Generic[T]):
    """A session that lives. `repr` shows neither the id nor the data: sessions end up in logs."""

    id: str = field(repr=False)
    user_id: str
    data: T = field(repr=False)
    created_at: datetime
    ends_at: datetime
    """When it ends however busy it is; earlier when nobody loads it."""


@dataclass(frozen=True, slots=True)
class ListedSession(Generic[T]):
    """One of a user's sessions, for a page of devices. Nobody can log in with the handle."""

    handle: str
    data: T = field(repr=False)
    created_at: datetime
    ends_at: datetime
    idle_until: datetime
    """When it ends if nobody loads it."""
