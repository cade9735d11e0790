"""Work that a service repeats for as long as it runs."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import structlog
from rediscore.retry import TRANSIENT, Backoff

from pizzeria_chassis.errors import DatabaseUnavailable, FeedUnavailable
from pizzeria_chassis.health import OK, Check

__all__ = ["PeriodicTask"]

_log = structlog.get_logger(__name__)

FAILURES_BEFORE_DEGRADED: Final = 3
OUTAGES: Final = (DatabaseUnavailable, FeedUnavailable, *TRANSIENT, OSError)


class PeriodicTask:
    """Runs ``work`` at start, then every ``interval`` seconds, and at once when nudged.

    One run at a time. A run that returns True has more to do and is followed by the next without a pause.
    A run that raises is logged and tried again after a backoff that a nudge does not shorten, so that a
    failing dependency is not hammered. ``stop`` lets the present run end within ``grace`` seconds, then
    cancels it.
    """

    def __init__(
        self,
        name: str,
        interval: float,
        work: Callable[[], Awaitable[bool | None]],
        *,
        backoff: Backoff | None = None,
        grace: float = 5.0,
    ) -> None:
        self._name = name
        self._interval = interval
        self._work = work
        self._backoff = backoff or Backoff(max(interval, 0.1), max(interval, 10.0))
        self._grace = grace
        self._wake = asyncio.Event()
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._failures = 0
        self._reason = ""

    def nudge(self) -> None:
        """Run soon: at once when idle, once more when a run is under way."""
        self._wake.set()

    async def start(self) -> None:
        self._stopping.clear()
        self._task = asyncio.create_task(self._run(), name=f"periodic:{self._name}")

    async def stop(self) -> None:
        if self._task is None:
            return
        self._stopping.set()
        self._wake.set()
        done, _ = await asyncio.wait({self._task}, timeout=self._grace)
        if not done:
            self._task.cancel()
            await asyncio.wait({self._task})
        self._task = None

    def checks(self) -> Mapping[str, Check]:
        if self._failures < FAILURES_BEFORE_DEGRADED:
            return {self._name: OK}
        return {self._name: Check("degraded", f"{self._failures} failures in a row: {self._reason}")}

    async def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.clear()
            try:
                more = await self._work()
            except Exception as error:  # noqa: BLE001 - the loop outlives every failure of its work
                self._failed(error)
                await self._pause(self._stopping, self._backoff.delay(self._failures))
                continue
            if self._failures:
                _log.info("periodic_task_recovered", task=self._name, failures=self._failures)
                self._failures = 0
            if not more:
                await self._pause(self._wake, self._interval)

    def _failed(self, error: Exception) -> None:
        self._failures += 1
        self._reason = type(error).__name__
        # An outage fails every turn: a line each time the count doubles is enough, and where in the code it
        # struck says nothing. Anything else is a fault of ours.
        if self._failures & (self._failures - 1) == 0:
            _log.warning(
                "periodic_task_failed",
                task=self._name,
                failures=self._failures,
                error=self._reason,
                exc_info=None if isinstance(error, OUTAGES) else error,
            )

    async def _pause(self, until: asyncio.Event, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await until.wait()
        except TimeoutError:
            return
