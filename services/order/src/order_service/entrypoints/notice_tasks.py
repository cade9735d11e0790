"""Notices reach mailboxes by tasks. SQL says which are due, a task is the fast road (ADR 0057)."""

import asyncio
from datetime import timedelta
from typing import Final

import structlog
from pizzeria_chassis.loops import OUTAGES, PeriodicTask
from rediscore.retry import Backoff
from rediscore.tasks import Retry, Tasks
from rediscore.tasks.message import Message

from order_service.domain.notices import Notice
from order_service.domain.records import Due
from order_service.use_cases.mailbox import KeepMailbox

_log = structlog.get_logger(__name__)

MOST_WAITING: Final = 1000
BATCH: Final = 100
SWEPT: Final = 500
LINGER: Final = 0.05
IDLE_SECONDS: Final = 60.0
ATTEMPTS: Final = 8


class NoticeTasks:
    """Puts notices on their road, in batches: at once, and again from SQL what has not arrived.

    A notice that fails for good is a dead letter among the tasks, alone; the others of its batch arrive.

    Args:
        patience: seconds after which a notice that has not arrived is put on the road again.
        retry_pause: seconds before the second attempt of a task, doubling up to a minute.
    """

    def __init__(self, tasks: Tasks, mailbox: KeepMailbox, *, patience: float, retry_pause: float) -> None:
        self._mailbox = mailbox
        self._patience = timedelta(seconds=patience)
        self._waiting: list[Due] = []
        self._sender = PeriodicTask("notices", IDLE_SECONDS, self._send)
        self.components = (self._sender, PeriodicTask("notices-sweep", patience, self._sweep))

        @tasks.task(name="notices", retry=Retry(ATTEMPTS, Backoff(retry_pause, 60.0)))
        async def deliver(notices: list[tuple[str, Notice]]) -> None:
            await self._deliver([Due(order_id, notice) for order_id, notice in notices])

        self._task = deliver

    def due(self, order_id: str, notice: Notice) -> None:
        """Called after the commit. Never blocks; beyond 1000 that wait the sweep does it."""
        if len(self._waiting) < MOST_WAITING:
            self._waiting.append(Due(order_id, notice))
            self._sender.nudge()

    async def _send(self) -> None:
        if not self._waiting:
            return
        await asyncio.sleep(LINGER)  # those that follow closely share a task
        waiting, self._waiting = self._waiting, []
        batches = [waiting[at : at + BATCH] for at in range(0, len(waiting), BATCH)]
        await self._task.delay_many([[[(one.order_id, one.notice) for one in batch]] for batch in batches])

    async def _sweep(self) -> bool:
        overdue = await self._mailbox.overdue(self._patience, SWEPT)
        await self._one_by_one(overdue)
        if overdue:
            await self._mailbox.set_out(overdue)
        return len(overdue) == SWEPT

    async def _deliver(self, due: list[Due]) -> None:
        try:
            await self._mailbox.deliver(due)
        except OUTAGES:
            raise
        except Exception as error:
            # Whichever of them it is, the others must not wait for it.
            if len(due) == 1:
                raise
            _log.warning("notices_parted", count=len(due), error=type(error).__name__)
            await self._one_by_one(due)

    async def _one_by_one(self, due: list[Due]) -> None:
        # The same id each time: what is on its way, or dead, is not doubled.
        entries = [
            self._task.entry(
                Message(self._task.name, [[(one.order_id, one.notice)]], {}),
                task_id=f"notice:{one.order_id}:{one.notice}",
            )
            for one in due
        ]
        if entries:
            await self._task.app.queue.add_many(entries)
