"""What lies in the queue, and what comes back: JSON."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal

from pydantic_core import PydanticSerializationError, from_json, to_json

from rediscore.tasks.errors import TaskCancelled, TaskDead, TaskError, TaskExpired


@dataclass(frozen=True, slots=True)
class Message:
    """One call of a task."""

    task: str
    args: list[Any]
    kwargs: dict[str, Any]
    expires_at: datetime | None = None

    def encode(self) -> bytes:
        """Raises: TypeError for arguments that JSON cannot carry."""
        expires = None if self.expires_at is None else self.expires_at.timestamp()
        try:
            return to_json([self.task, self.args, self.kwargs, expires])
        except PydanticSerializationError as error:
            raise TypeError(f"An argument of {self.task} does not fit into JSON: {error}") from None

    @staticmethod
    def decode(payload: bytes) -> "Message":
        """Raises: ValueError for what is no call of a task."""
        task, args, kwargs, expires = from_json(payload)
        if not (isinstance(task, str) and isinstance(args, list) and isinstance(kwargs, dict)):
            raise ValueError("not [task, arguments, keyword arguments, expiry]")
        return Message(task, args, kwargs, None if expires is None else datetime.fromtimestamp(expires, UTC))


def result_of(value: Any) -> bytes:
    """A result to be kept. Raises: pydantic's error for what JSON cannot carry."""
    return to_json({"value": value})


def failure(kind: Literal["dead", "expired", "cancelled"], reason: str) -> bytes:
    """An end without a result."""
    return to_json({kind: reason})


def is_dead(kept: bytes) -> bool:
    """Whether this result says that the call is dead."""
    return kept.startswith(b'{"dead":')


def value_of(kept: bytes) -> Any:
    """The value, as JSON has it.

    Raises: TaskDead, TaskExpired, TaskCancelled; TaskError for what cannot be read.
    """
    try:
        found = from_json(kept)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise TaskError("What lies in the place of the result is none.")
    for kind, error in _ENDS.items():
        if kind in found:
            raise error(str(found[kind]))
    return found.get("value")


_ENDS: Final[dict[str, type[TaskError]]] = {
    "dead": TaskDead,
    "expired": TaskExpired,
    "cancelled": TaskCancelled,
}
