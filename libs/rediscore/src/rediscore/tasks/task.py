"""A function that can be called later, elsewhere."""

import hashlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import update_wrapper
from typing import TYPE_CHECKING, Any, Final, Generic, ParamSpec, TypeVar
from uuid import uuid4

from pydantic import ConfigDict, TypeAdapter, validate_call
from pydantic_core import to_json

from rediscore.metrics import meter_of
from rediscore.queue import NewEntry
from rediscore.tasks.handle import TaskHandle
from rediscore.tasks.message import Message
from rediscore.tasks.options import Retry

if TYPE_CHECKING:
    from rediscore.tasks.app import Tasks

P = ParamSpec("P")
R = TypeVar("R")

_ANYTHING: Final = (inspect.Parameter.empty, Any)


@dataclass(frozen=True, slots=True)
class Policy:
    """How a task is run; see `Tasks.task`."""

    priority: str
    retry: Retry
    timeout: timedelta
    keep_result: bool
    show_arguments: bool = False
    unique_for: timedelta | None = None
    unique_by: Callable[..., str] | None = None


class Task(Generic[P, R]):
    """Made by `Tasks.task`. Calling it runs the function here and now; `delay` and `apply_async` leave it
    to a worker, which converts the arguments to the types that the function names."""

    def __init__(self, app: "Tasks", name: str, function: Callable[P, Any], policy: Policy) -> None:
        self.app = app
        self.name = name
        self.function = function
        self.policy = policy
        self.is_async = inspect.iscoroutinefunction(function)
        self.timeout_seconds = policy.timeout.total_seconds()
        self.meter = meter_of(app.metrics, "task", f"{app.name}.{name}")
        self._signature = inspect.signature(function, eval_str=True)
        self.call: Callable[..., Any] = function
        """What a worker calls: the function, behind the conversion of its arguments where it names types."""
        if any(one.annotation not in _ANYTHING for one in self._signature.parameters.values()):
            # Errors are kept, and shown: they must not quote the arguments.
            self.call = validate_call(config=ConfigDict(hide_input_in_errors=True))(function)
        returns = self._signature.return_annotation
        self.result_type: TypeAdapter[R] = TypeAdapter(Any if returns is inspect.Signature.empty else returns)
        update_wrapper(self, function)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Any:
        return self.function(*args, **kwargs)

    async def delay(self, *args: P.args, **kwargs: P.kwargs) -> TaskHandle[R]:
        """Let a worker call it as soon as its turn comes. One round trip. Raises: QueueFull, TypeError."""
        return await self.apply_async(args, kwargs)

    async def apply_async(
        self,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        countdown: timedelta | None = None,
        eta: datetime | None = None,
        priority: str | None = None,
        task_id: str | None = None,
        expires: datetime | timedelta | None = None,
    ) -> TaskHandle[R]:
        """Let a worker call it. One round trip. For a unique task the handle may be that of an earlier call.

        Args:
            countdown: not before this has passed.
            eta: not before this moment; an aware time.
            priority: a class of the queue, instead of the task's own.
            task_id: an id that is in the queue, or was done within the last ten minutes, is not put in
                again: the handle is that of the first call. So sending it again is harmless.
            expires: when nobody has taken it by then, it is not run.

        Raises: QueueFull; TypeError for wrong arguments and such as JSON cannot carry; ValueError for a
            naive time.
        """
        self._signature.bind(*args, **(kwargs or {}))
        entry = self.entry(
            Message(self.name, list(args), dict(kwargs or {}), self._moment(expires, "expires")),
            delay=self._delay(countdown, eta),
            priority=priority,
            task_id=task_id,
        )
        return TaskHandle(self.app, await self._put_in(entry, args, kwargs or {}), self.result_type)

    async def delay_many(self, calls: Sequence[Sequence[Any]]) -> list[TaskHandle[R]]:
        """`delay` for each list of arguments; 1000 in a round trip, unique ones each in its own.

        Raises: QueueFull when not all fitted: those before are in.
        """
        if self.policy.unique_for is not None:
            return [await self.apply_async(args) for args in calls]
        entries = [self.entry(Message(self.name, list(args), {})) for args in calls]
        await self.app.queue.add_many(entries)
        return [TaskHandle(self.app, entry.entry_id, self.result_type) for entry in entries]

    def entry(
        self,
        message: Message,
        *,
        delay: timedelta | None = None,
        priority: str | None = None,
        task_id: str | None = None,
    ) -> NewEntry:
        """The call as an entry of the queue."""
        return NewEntry(task_id or uuid4().hex, message.encode(), priority or self.policy.priority, delay)

    async def _put_in(self, entry: NewEntry, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
        """The id of the call that stands for this one."""
        queue, lasts = self.app.queue, self.policy.unique_for
        if lasts is None:
            await queue.add(entry.entry_id, entry.payload, priority=entry.priority, delay=entry.delay)
            return entry.entry_id
        by = self.policy.unique_by
        same = to_json([args, kwargs]) if by is None else by(*args, **kwargs).encode()
        # Hashed: arguments of any length, and no personal data in the name of a key.
        unique = hashlib.sha256(self.name.encode() + b"\0" + same).hexdigest()
        return await queue.add_unique(entry, unique, lasts=lasts)

    def _delay(self, countdown: timedelta | None, eta: datetime | None) -> timedelta | None:
        if eta is None:
            return countdown
        if countdown is not None:
            raise ValueError("Give countdown or eta, not both.")
        moment = self._moment(eta, "eta")
        return None if moment is None else max(timedelta(0), moment - self.app.clock.now())

    def _moment(self, when: datetime | timedelta | None, what: str) -> datetime | None:
        if isinstance(when, timedelta):
            return self.app.clock.now() + when
        if when is not None and when.tzinfo is None:
            raise ValueError(f"{what} must be an aware time: datetime.now(UTC) + ..., not a naive one.")
        return when
