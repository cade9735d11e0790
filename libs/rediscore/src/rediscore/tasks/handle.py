"""One call of a task, from the caller's side."""

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydantic import TypeAdapter

from rediscore.tasks.errors import ResultTimeout
from rediscore.tasks.message import value_of

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
        more when the worker says so, and one a second in case that was missed.

        Raises: TaskDead, TaskExpired; ResultTimeout.
        """
        queue = self._app.queue
        try:
            async with (
                asyncio.timeout(timeout.total_seconds()),
                self._app.channels.subscription(queue.results_channel) as ended,
            ):
                while True:
                    if (kept := await queue.result(self.id)) is not None:
                        value: R = self._result_type.validate_python(value_of(kept))
                        return value
                    try:
                        async with asyncio.timeout(1):
                            async for task_id in ended:
                                if task_id == self.id.encode() or not isinstance(task_id, bytes):
                                    break
                    except TimeoutError:
                        continue
        except TimeoutError:
            raise ResultTimeout(f"No result of task {self.id} within {timeout.total_seconds()} s.") from None

    async def cancel(self) -> bool:
        """See `Tasks.cancel`."""
        return await self._app.cancel(self.id)
