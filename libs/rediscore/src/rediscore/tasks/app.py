"""The tasks of one application: declared here, queued here."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Final, ParamSpec, TypeVar

from pydantic import TypeAdapter

from rediscore.client import RedisConnections
from rediscore.clock import Clock, SystemClock
from rediscore.keys import KeySpace
from rediscore.metrics import Metrics, meter_of
from rediscore.pubsub import LiveChannels
from rediscore.queue import PriorityQueue
from rediscore.tasks.handle import TaskHandle
from rediscore.tasks.message import failure
from rediscore.tasks.options import Retry
from rediscore.tasks.periodic import Every, Periodic, Schedule
from rediscore.tasks.presence import Presence
from rediscore.tasks.task import Policy, Task

P = ParamSpec("P")
R = TypeVar("R")

PRIORITIES: Final = {
    "low": timedelta(0),
    "standard": timedelta(minutes=10),
    "high": timedelta(minutes=20),
}


class Tasks:
    """Tasks on a `PriorityQueue`: its promises are theirs. A call that was accepted is run until it ends
    well, is dead with its reason, expires or is cancelled; a worker's death costs at most a lease. It
    may run twice when a worker is lost in the middle: make its effect idempotent, by the task's id.

    Making it does no I/O. What Redis loses is lost: where that must not be, add the calls again from
    where the facts are, with the same `task_id`.

    Args:
        name: of the queue.
        priorities: its classes and their head starts (`PriorityQueue`).
        lease: how long a lost worker keeps its tasks; a living one renews it.
        result_ttl: how long results are kept.
        max_recoveries: how often a task may lose its worker before it is dead.
        capacity: how many calls may wait or run; None = no bound.
    """

    def __init__(
        self,
        connections: RedisConnections,
        name: str,
        *,
        keys: KeySpace,
        priorities: Mapping[str, timedelta] = PRIORITIES,
        lease: timedelta = timedelta(seconds=10),
        result_ttl: timedelta = timedelta(hours=1),
        max_recoveries: int = 5,
        capacity: int | None = None,
        metrics: Metrics | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.name = name
        self.connections = connections
        self.keys = keys
        self.clock = clock or SystemClock()
        self.channels = LiveChannels(connections)
        self.lease = lease
        self.metrics = metrics
        self.cancellations = keys.key("tasks", "cancellations", tag=f"{keys.prefix}:{name}")
        """Channel on which workers hear that something was cancelled."""
        self.meter = meter_of(metrics, "tasks", name)
        self.queue = PriorityQueue(
            connections,
            name,
            keys=keys,
            head_start=priorities,
            lease=lease,
            result_ttl=result_ttl,
            max_recoveries=max_recoveries,
            capacity=capacity,
            metrics=metrics,
        )
        self.registered: dict[str, Task[..., Any]] = {}
        self.schedule: list[Periodic] = []
        self.presence = Presence(connections, name, keys)
        self.priorities = sorted(priorities, key=priorities.__getitem__, reverse=True)
        """The classes, best first."""

    def task(
        self,
        *,
        name: str | None = None,
        priority: str = "standard",
        retry: Retry | None = None,
        timeout: timedelta = timedelta(minutes=1),
        keep_result: bool = False,
        every: timedelta | Schedule | None = None,
        unique_for: timedelta | None = None,
        unique_by: Callable[..., str] | None = None,
        show_arguments: bool = False,
    ) -> Callable[[Callable[P, Any]], Task[P, Any]]:
        """Declare a task: a coroutine function, or a plain one, which a worker runs in a thread.

        Args:
            name: what callers and workers know it by; its function's name unless given. A name that is in
                the queue must stay known to the workers.
            timeout: of one attempt. A thread cannot be stopped: a plain function that takes longer is
                given up, and goes on beside its repetition.
            keep_result: keep what it returns for `TaskHandle.result`.
            every: call it by itself so often, or by this schedule (`Daily`), without arguments, once for all
                workers together.
            unique_for: a call within this time after another is not put in: its handle is that of the
                first, whatever became of that.
            unique_by: what makes two calls the same, from their arguments; all of them unless given.
            show_arguments: operators may see them (`rediscore.tasks.fastapi`); not for personal data.
        """
        if timeout <= timedelta(0):
            raise ValueError("A task needs a timeout above 0.")
        if unique_by is not None and unique_for is None:
            raise ValueError("unique_by= needs unique_for=: for how long one call stands for the others.")
        if priority not in self.priorities:
            raise ValueError(f"No class {priority!r}: there are {', '.join(self.priorities)}.")

        policy = Policy(
            priority=priority,
            retry=retry or Retry(),
            timeout=timeout,
            keep_result=keep_result,
            show_arguments=show_arguments,
            unique_for=unique_for,
            unique_by=unique_by,
        )

        def declare(function: Callable[P, Any]) -> Task[P, Any]:
            task: Task[P, Any] = Task(
                self,
                name or function.__name__,
                function,
                policy,
            )
            if task.name in self.registered:
                raise ValueError(f"There is a task {task.name!r} already; give one of them a name=.")
            self.registered[task.name] = task
            if every is not None:
                schedule = Every(every) if isinstance(every, timedelta) else every
                self.schedule.append(Periodic(task, schedule))
            return task

        return declare

    def handle(self, task_id: str) -> TaskHandle[Any]:
        """The handle of a call made elsewhere."""
        return TaskHandle(self, task_id, TypeAdapter(Any))

    def shows_arguments(self, name: str) -> bool:
        """Whether operators may see the arguments of this task."""
        task = self.registered.get(name)
        return task is not None and task.policy.show_arguments

    async def cancel(self, task_id: str) -> bool:
        """Take a call out, whatever its state. A worker that runs it is told, and the run is cancelled, at
        the latest at its next heartbeat, a third of the lease.

        Returns: False when it is over already, or was never there. Two round trips.
        """
        if not await self.queue.remove(task_id, result=failure("cancelled", "Somebody has cancelled it.")):
            return False
        await self.channels.notify(self.cancellations, {})
        return True

    async def aclose(self) -> None:
        """Stop listening for results. The connections are not ours to close."""
        await self.channels.aclose()
