"""What operators see of the tasks of an application, and what they can do."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, Literal

from pydantic import BaseModel
from pydantic_core import to_json

from rediscore.queue import QueuedEntry
from rediscore.queue.entries import State
from rediscore.tasks.app import Tasks
from rediscore.tasks.message import Message
from rediscore.tasks.presence import EndedCall, WorkerAlive

CallState = Literal["running", "queued", "scheduled", "failed", "dead"]

AT_ONCE: Final = 1000

_STATES: Final[dict[CallState, tuple[State, Literal["failed", "fresh"] | None]]] = {
    "running": ("leased", None),
    "queued": ("ready", None),
    "scheduled": ("delayed", "fresh"),
    "failed": ("delayed", "failed"),
    "dead": ("dead", None),
}


class Call(BaseModel):
    """One call that is not over."""

    id: str
    task: str
    state: CallState
    """failed: it waits to be tried again."""
    priority: str
    arguments: list[Any] | None
    """None where arguments are hidden, and where they cannot be read."""
    named_arguments: dict[str, Any] | None
    failures: int
    lost_workers: int
    """How often a lease on it ran out."""
    owner: str
    """The worker that runs it."""
    entered_at: datetime
    """When it came, or will have become due."""
    due_at: datetime
    """scheduled, failed: when it is run; running: when its lease ends; dead: since; queued: as entered_at."""
    started_at: datetime | None
    """running: when this attempt began, as far as the worker has said so."""
    reason: str
    """The last failure: the error in one line, then its traceback."""


class Calls(BaseModel):
    """A page; `next` is what to leave out for the next one, null at the end. It may be short, even empty,
    and have a next one: where a part of a state is asked for, 1000 calls are looked through at most."""

    items: list[Call]
    next: int | None


class Counts(BaseModel):
    """How many calls there are in each state. failed counts the first 1000 of those that wait."""

    running: int
    queued: int
    scheduled: int
    failed: int
    dead: int


class DeclaredTask(BaseModel):
    """A task that this process knows."""

    name: str
    priority: str
    max_attempts: int
    timeout_seconds: float
    keeps_result: bool
    in_thread: bool


class Scheduled(BaseModel):
    """A task that is called by itself."""

    task: str
    schedule: str
    next_at: datetime


class Overview(BaseModel):
    """All but the calls themselves."""

    name: str
    now: datetime
    counts: Counts
    oldest_age_seconds: float | None
    """Since the oldest queued call came in."""
    priorities: list[str]
    """Best first."""
    ended: int
    """How many attempts that have ended lately can be asked for."""
    workers: list[WorkerAlive]
    tasks: list[DeclaredTask]
    schedule: list[Scheduled]


class Ended(BaseModel):
    """What has ended lately, newest first."""

    items: list[EndedCall]


class Done(BaseModel):
    """What an order came to. Not done: it was not in the state that the order is for, or is gone."""

    done: list[str]
    not_done: list[str]


class Board:
    """Made anywhere where the same `Tasks` are known; does no I/O until asked.

    Args:
        show_arguments: whether arguments, which may hold personal data, are shown; False shows those of
            tasks that were declared with `show_arguments=True`.
    """

    def __init__(self, tasks: Tasks, *, show_arguments: bool = False) -> None:
        self._tasks = tasks
        self._queue = tasks.queue
        self._show_arguments = show_arguments

    async def overview(self) -> Overview:
        """How things stand. Three round trips, made together."""
        stats, failed, watched = await asyncio.gather(
            self._queue.stats(), self._queue.count("delayed", only="failed"), self._tasks.presence.watch()
        )
        now = self._tasks.clock.now()
        return Overview(
            name=self._tasks.name,
            now=now,
            counts=Counts(
                running=stats.leased,
                queued=stats.ready,
                scheduled=max(0, stats.delayed - failed),
                failed=failed,
                dead=stats.dead,
            ),
            oldest_age_seconds=stats.oldest_age_seconds,
            priorities=self._tasks.priorities,
            ended=watched.kept,
            workers=watched.workers,
            tasks=[
                DeclaredTask(
                    name=task.name,
                    priority=task.policy.priority,
                    max_attempts=task.policy.retry.max_attempts,
                    timeout_seconds=task.policy.timeout.total_seconds(),
                    keeps_result=task.policy.keep_result,
                    in_thread=not task.is_async,
                )
                for task in self._tasks.registered.values()
            ],
            schedule=[
                Scheduled(
                    task=periodic.task.name,
                    schedule=str(periodic.schedule),
                    next_at=periodic.schedule.after(now),
                )
                for periodic in self._tasks.schedule
            ],
        )

    async def calls(
        self, state: CallState, *, most: int = 50, skip: int = 0, task: str | None = None
    ) -> Calls:
        """Calls in one state: running and queued in their order, scheduled and failed by when they are due,
        dead newest first. One round trip; two for those that run.

        Args:
            task: only calls of this one.
        """
        of, only = _STATES[state]
        page = await self._queue.page(
            of,
            most=most,
            skip=skip,
            backwards=state == "dead",
            only=only,
            payload_begins=b"" if task is None else b"[" + to_json(task) + b",",
        )
        started = await self._started() if state == "running" else {}
        return Calls(items=[self._call(entry, started) for entry in page.entries], next=page.next)

    async def find(self, task_id: str) -> Call | None:
        """The call with this id; None when it is over or unknown. Two round trips."""
        entry, started = await asyncio.gather(self._queue.find(task_id), self._started())
        return None if entry is None else self._call(entry, started)

    async def ended(self, *, most: int = 100, skip: int = 0) -> Ended:
        """What has ended lately (up to 500, for a day). One round trip."""
        watched = await self._tasks.presence.watch(most=most, skip=skip)
        return Ended(items=watched.ended)

    async def retry(
        self, ids: Sequence[str] | None = None, *, task: str | None = None, most: int = AT_ONCE
    ) -> Done:
        """Give dead calls another life, with all their attempts: these, or the `most` (1 to 1000) that have
        been dead for longest, of this task. One round trip, two when it looks for them."""
        if ids is None:
            prefix = b"" if task is None else b"[" + to_json(task) + b","
            page = await self._queue.page("dead", most=most, payload_begins=prefix)
            ids = [entry.entry_id for entry in page.entries]
        return _done(ids, await self._queue.redrive(ids))

    async def cancel(self, ids: Sequence[str]) -> Done:
        """Take calls out, whatever their state; a worker that runs one is told, and the run is cancelled.
        Two round trips for each."""
        cancelled = await asyncio.gather(*(self._tasks.cancel(call) for call in ids))
        return _done(ids, [call for call, done in zip(ids, cancelled, strict=True) if done])

    async def run_now(self, ids: Sequence[str]) -> Done:
        """Make scheduled calls, and those that wait to be tried again, due at once. A round trip for each."""
        ready = await asyncio.gather(*(self._queue.hasten(call) for call in ids))
        return _done(ids, [call for call, done in zip(ids, ready, strict=True) if done])

    async def prioritise(self, ids: Sequence[str], priority: str) -> Done:
        """Move calls into another class. A round trip for each. Raises: ValueError for an unknown class."""
        moved = await asyncio.gather(*(self._queue.prioritise(call, priority) for call in ids))
        return _done(ids, [call for call, done in zip(ids, moved, strict=True) if done])

    async def _started(self) -> dict[str, datetime]:
        watched = await self._tasks.presence.watch()
        return {call: began for worker in watched.workers for call, began in worker.running.items()}

    def _call(self, entry: QueuedEntry, started: dict[str, datetime]) -> Call:
        try:
            message: Message | None = Message.decode(entry.payload)
        except ValueError:
            message = None
        shown = message is not None and (self._show_arguments or self._tasks.shows_arguments(message.task))
        return Call(
            id=entry.entry_id,
            task="" if message is None else message.task,
            state=_state_of(entry),
            priority=entry.priority,
            arguments=message.args if message is not None and shown else None,
            named_arguments=message.kwargs if message is not None and shown else None,
            failures=entry.failures,
            lost_workers=entry.recoveries,
            owner=entry.owner,
            entered_at=entry.entered_at,
            due_at=entry.due_at,
            started_at=started.get(entry.entry_id) if entry.state == "leased" else None,
            reason=entry.reason,
        )


def _state_of(entry: QueuedEntry) -> CallState:
    if entry.state == "delayed":
        return "failed" if entry.failures else "scheduled"
    return "running" if entry.state == "leased" else "queued" if entry.state == "ready" else "dead"


def _done(ids: Sequence[str], done: Sequence[str]) -> Done:
    known = set(done)
    return Done(
        done=[call for call in ids if call in known], not_done=[call for call in ids if call not in known]
    )
