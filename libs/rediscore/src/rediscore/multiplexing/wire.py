"""Commands to bytes and bytes to replies, both in C (hiredis)."""

from collections.abc import Callable
from typing import Any, Final

import hiredis
import redis.exceptions

from rediscore.multiplexing._redis_py import parse_error
from rediscore.scripts import Argument

Push = hiredis.PushNotification
"""Type of what the server says by itself."""

NOT_ENOUGH: Final[Any] = object()
"""What the reader gives while a reply is not complete."""

# The stub of hiredis allows commands of one word only.
pack: Final[Callable[[tuple[Argument, ...]], bytes]] = hiredis.pack_command  # type: ignore[assignment]
"""A command as bytes. Raises TypeError for what is no str, bytes, int or float."""


def reply_reader() -> Any:
    """A parser that gives replies as redis-py's own does: bytes, and redis-py's exceptions for errors."""
    return hiredis.Reader(
        protocolError=redis.exceptions.InvalidResponse, replyError=parse_error, notEnoughData=NOT_ENOUGH
    )
