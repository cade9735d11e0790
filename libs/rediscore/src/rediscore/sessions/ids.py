"""Ids of sessions: what the browser has, and what Redis knows of it."""

import hashlib
import re
import secrets
from typing import NamedTuple, Self

_TAG_LENGTH = 24
_ID = re.compile(rf"([0-9a-f]{{{_TAG_LENGTH}}})\.([A-Za-z0-9_-]{{43}})")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def owner_tag(store: str, user_id: str) -> str:
    """96 bits of a hash: the part of an id that says in which slot the user's sessions are, but not whose."""
    return _digest(f"{store}\0{user_id}")[:_TAG_LENGTH]


def new_id(tag: str) -> str:
    """256 random bits under that tag. Whoever has it is the user: never log it."""
    return f"{tag}.{secrets.token_urlsafe(32)}"


class KnownAs(NamedTuple):
    """What Redis stores instead of the id; it does not lead back."""

    tag: str
    digest: str

    @classmethod
    def of(cls, session_id: str) -> Self | None:
        """None for what cannot be an id: it comes from outside."""
        if (parts := _ID.fullmatch(session_id)) is None:
            return None
        return cls(parts[1], _digest(session_id))
