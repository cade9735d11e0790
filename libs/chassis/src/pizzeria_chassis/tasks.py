"""Background tasks of a service: a worker in its process, and what operators see under ``/ops/tasks``."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Final

import structlog
from fastapi import APIRouter, Depends
from rediscore.sampler import RedisSampler
from rediscore.tasks import Tasks, Worker
from rediscore.tasks.fastapi import tasks_router

from pizzeria_chassis.auth import require
from pizzeria_chassis.health import OK, Check
from pizzeria_chassis.openapi import problems

__all__ = ["TaskWorker", "ops_tasks_router"]

_log = structlog.get_logger(__name__)

_RESTART_SECONDS: Final = 1.0


def ops_tasks_router(tasks: Tasks) -> APIRouter:
    """``/ops/tasks/``: a page that is open and empty; all data and actions behind it are for the manager."""
    router = APIRouter(
        prefix="/ops/tasks",
        responses=problems(
            _401="Unknown token.", _403="Wrong role.", _503="Redis does not answer; try again soon."
        ),
    )
    router.include_router(tasks_router(tasks, dependencies=[Depends(require("manager"))]))
    return router


class TaskWorker:
    """The worker of ``tasks``, a component of the service.

    Without Redis it waits for it, and the service is degraded. Stopped, it takes nothing more, lets
    running tasks end within ``grace`` seconds and gives back the rest at once.
    """

    def __init__(
        self, tasks: Tasks, *, concurrency: int, grace: float, sampler: RedisSampler, name: str
    ) -> None:
        self._tasks = tasks
        self._concurrency = concurrency
        self._grace = timedelta(seconds=grace)
        self._sampler = sampler
        self._name = name
        self._worker: Worker | None = None
        self._running: asyncio.Task[None] | None = None
        self._stopping = False
        self._fault = ""

    async def start(self) -> None:
        await self._sampler.start()
        self._running = asyncio.create_task(self._run(), name="task-worker")

    async def stop(self) -> None:
        self._stopping = True
        if self._worker is not None:
            self._worker.stop()
        if self._running is not None:
            await self._running
        await self._sampler.stop()
        await self._tasks.aclose()

    def checks(self) -> Mapping[str, Check]:
        reason = self._fault or (self._worker.trouble if self._worker is not None else "")
        return {"tasks": Check("degraded", reason) if reason else OK}

    async def _run(self) -> None:
        while not self._stopping:
            self._worker = Worker(
                self._tasks, concurrency=self._concurrency, grace=self._grace, name=self._name
            )
            try:
                await self._worker.run()
            except Exception as error:  # noqa: BLE001 - a bug must not end all tasks until the next restart
                self._fault = f"the worker ended: {type(error).__name__}"
                _log.error("task_worker_ended", exc_info=error)
                await asyncio.sleep(_RESTART_SECONDS)
            else:
                self._fault = ""
