"""One attempt at one call, in the worker that holds it."""

import asyncio
import traceback
from collections.abc import Awaitable, Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final

from pydantic_core import from_json

from rediscore.queue import Claim
from rediscore.tasks.task import Task

_LAST_LINES: Final = 1500
_OURS: Final = ("rediscore.tasks.", "pydantic.", "concurrent.futures.")
_NEVER: Final = float("inf")

ThreadCall = Callable[[Callable[[], Any]], Awaitable[Any]]
"""Runs a plain function in a thread."""


@dataclass(slots=True, eq=False)
class Attempt:
    """A claim and what becomes of it."""

    claim: Claim
    task: Task[..., Any] | None = None
    began: float = 0.0
    """Seconds of the loop's clock; 0 = not yet."""
    deadline: float = _NEVER
    timed_out: bool = False
    lost: bool = False
    """Somebody else holds it, or nobody: neither result nor failure counts."""
    returned: bool = False
    """It goes back to the queue."""
    running: "asyncio.Task[None] | None" = None

    def cancel(self) -> None:
        """End it; one that has not begun never does."""
        if self.began and self.running is not None:
            self.running.cancel()


@dataclass(frozen=True, slots=True)
class CallContext:
    """What a running task can know about its call; see `current_call`."""

    id: str
    attempt: int
    """1 for the first; lost workers do not count."""
    token: int
    """Larger than that of every attempt before it, in the whole queue: the fencing token of its lease."""
    task: str = field(default="")


_current: ContextVar[Attempt] = ContextVar("rediscore_task_attempt")


def current_call() -> CallContext:
    """The call that runs here, for a task that must know its id: the key by which its effect is made once.

    Raises: LookupError outside of a worker.
    """
    attempt = _current.get()
    claim = attempt.claim
    return CallContext(
        claim.entry_id, claim.attempt, claim.token, "" if attempt.task is None else attempt.task.name
    )


def enter(attempt: Attempt) -> None:
    """Make this attempt the current one of the asyncio task that runs it."""
    _current.set(attempt)


def unpack(payload: bytes) -> tuple[str, Sequence[Any], dict[str, Any], float | None]:
    """Task, arguments, keyword arguments, end of validity (seconds since the epoch): `Message.decode`
    without its objects, for each call that is run.

    Raises: ValueError for what is no call of a task.
    """
    name, args, kwargs, expires = from_json(payload)
    if not (isinstance(name, str) and isinstance(args, list) and isinstance(kwargs, dict)):
        raise ValueError("not [task, arguments, keyword arguments, expiry]")
    return name, args, kwargs, expires


def reason_of(error: BaseException) -> str:
    """The error in one line, then where it came from."""
    told = str(error)
    first = f"{type(error).__name__}: {told}" if told else type(error).__name__
    lines = traceback.format_exception(type(error), error, _beyond_us(error.__traceback__))
    return first + "\n" + "".join(lines)[-_LAST_LINES:]


def _beyond_us(trace: TracebackType | None) -> TracebackType | None:
    """The part of a traceback that is not ours, or not pydantic's on the way to the task."""
    here = trace
    while here is not None and here.tb_frame.f_globals.get("__name__", "").startswith(_OURS):
        here = here.tb_next
    return here or trace
