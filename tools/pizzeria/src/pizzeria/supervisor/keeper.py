"""Keeps one process running: start, watch, start again with growing pauses."""

import asyncio
import signal
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from pizzeria.backoff import Backoff
from pizzeria.errors import PizzeriaError

_PROBE_SECONDS = 0.05
_STEADY_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Change:
    """What happened to a process. `detail` says how it ended and what is done about it."""

    name: str
    event: Literal["started", "ready", "ended"]
    pid: int | None
    detail: str = ""


class Supervised(Protocol):
    """What can be kept running."""

    name: str

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""

    async def start(self) -> None:
        """Start it. Raises: OSError, PizzeriaError."""

    async def wait(self) -> str:
        """Return when it has ended: how, in words."""

    async def stop(self, grace_seconds: float) -> None:
        """SIGTERM, then SIGKILL after `grace_seconds`; returns when it has ended. Harmless when repeated."""

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to it; nothing happens when it does not run."""


class Keeper:
    """Runs one program until `stop`; what ends is started again when `backoff` is given.

    A program that ran for 5 seconds counts as healthy: its next restart comes after the shortest pause.

    Args:
        probe: whether the program is ready; without it a started program is.
        notify: told of every change, from the event loop.

    Attributes:
        ready: set while the program is ready.
        endings: how it ended, each time that nobody asked for it, latest last, at most ten.
    """

    def __init__(
        self,
        program: Supervised,
        *,
        backoff: Backoff | None,
        notify: Callable[[Change], None],
        probe: Callable[[], Awaitable[bool]] | None = None,
    ) -> None:
        self.program = program
        self.ready = asyncio.Event()
        self.endings: deque[str] = deque(maxlen=10)
        self._backoff = backoff
        self._notify = notify
        self._probe = probe
        self._stopping = asyncio.Event()
        self._start_now = asyncio.Event()

    @property
    def name(self) -> str:
        """Name of the process."""
        return self.program.name

    async def run(self) -> None:
        """Returns after `stop`. Cancelling it leaves the program to `stop`."""
        loop = asyncio.get_running_loop()
        failures = 0
        while not self._stopping.is_set():
            self._start_now.clear()
            begun = loop.time()
            ending = await self._run_once()
            self.ready.clear()
            if self._stopping.is_set():
                return
            self.endings.append(ending)
            failures = 1 if loop.time() - begun > _STEADY_SECONDS else failures + 1
            pause = self._backoff.delay(failures) if self._backoff else None
            if self._start_now.is_set():
                pause = 0.0
            follow_up = f"started again in {pause:.1f} s" if pause is not None else "not started again"
            self._notify(Change(self.name, "ended", None, f"{ending}, {follow_up}"))
            try:
                async with asyncio.timeout(pause):
                    await self._start_now.wait()
            except TimeoutError:
                continue

    async def stop(self, grace_seconds: float) -> None:
        """End the program for good. Harmless when repeated."""
        self._stopping.set()
        self._start_now.set()
        await self.program.stop(grace_seconds)

    async def restart(self, grace_seconds: float) -> None:
        """End the program in good order if it runs, and start it at once, whatever the restart policy."""
        self._start_now.set()
        await self.program.stop(grace_seconds)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the program; nothing happens when it does not run."""
        if number == signal.SIGKILL:
            self.ready.clear()  # so that whoever waits for `ready` next waits for the next start
        self.program.signal(number)

    async def _run_once(self) -> str:
        try:
            await self.program.start()
        except (OSError, PizzeriaError) as error:
            return f"could not be started ({error})"
        self._notify(Change(self.name, "started", self.program.pid))
        if self._stopping.is_set():
            await self.program.stop(0)
        watch = asyncio.create_task(self._announce_ready(), name=f"ready-{self.name}")
        try:
            return await self.program.wait()
        finally:
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)

    async def _announce_ready(self) -> None:
        while self._probe is not None and not await self._probe():  # noqa: ASYNC110  another process
            await asyncio.sleep(_PROBE_SECONDS)
        self.ready.set()
        self._notify(Change(self.name, "ready", self.program.pid))
