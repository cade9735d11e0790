"""One call of a task, from the caller's side."""

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydantic import TypeAdapter

from rediscore.tasks.errors import ResultTimeout, TaskDead
from rediscore.tasks.message import is_dead, value_of

if TYPE_CHECKING:
    from rediscore.tasks.app import Tasks

R = TypeVar("R")


class TaskHandle(Generic[R]):
    """`id` is all that one needs to keep: `tasks.handle(id)` makes another."""

    def __init__(self, app: "Tasks", task_id: str, result_type: TypeAdapter[Any]) -> None:
        self.id = task_id
        self._app = app
        self._result_type = result_type

    async def result(self, *, timeout: timedelta) -> R:
        """What the task gave, when it has; needs `keep_result` at the task. No polling: one round trip, one
        more when the worker says so, and two a second in case that was missed.

        A dead call that was given another life is waited for. What is dead because it lost its workers
        is told within a second.

        Raises: TaskDead, TaskExpired, TaskCancelled; ResultTimeout.
        """
        try:
            async with (
                asyncio.timeout(timeout.total_seconds()),
                self._app.channels.subscription(self._app.queue.results_channel) as ended,
            ):
                while True:
                    if (kept := await self._kept()) is not None:
                        value: R = self._result_type.validate_python(value_of(kept))
                        return value
                    try:
                        async with asyncio.timeout(1):
                            async for task_id in ended:
                                if task_id == self.id.encode() or not isinstance(task_id, bytes):
                                    break
                    except TimeoutError:
                        await self._check_whether_dead()
        except TimeoutError:
            raise ResultTimeout(f"No result of task {self.id} within {timeout.total_seconds()} s.") from None

    async def _kept(self) -> bytes | None:
        """The result, unless it is one of an earlier life."""
        queue = self._app.queue
        kept = await queue.result(self.id)
        if kept is None or not is_dead(kept):
            return kept
        entry = await queue.find(self.id)
        if entry is not None:
            return kept if entry.state == "dead" else None
        return await queue.result(self.id)  # it may have ended in between

    async def _check_whether_dead(self) -> None:
        # Where leases ran out too often nobody was there to leave a result.
        entry = await self._app.queue.find(self.id)
        if entry is not None and entry.state == "dead":
            raise TaskDead(entry.reason.partition("\n")[0])

    async def cancel(self) -> bool:
        """See `Tasks.cancel`."""
        return await self._app.cancel(self.id)
