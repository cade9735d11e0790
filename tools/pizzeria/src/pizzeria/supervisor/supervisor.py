"""Runs the whole pizzeria as child processes and keeps it running."""

import asyncio
import os
import shutil
import signal
from collections.abc import Callable, Mapping
from functools import partial
from typing import Self

from pizzeria.errors import StartFailedError
from pizzeria.probe import answers
from pizzeria.state import State
from pizzeria.supervisor import logs
from pizzeria.supervisor.keeper import Change, Keeper
from pizzeria.supervisor.options import SupervisorOptions
from pizzeria.supervisor.plan import Plan
from pizzeria.supervisor.run_lock import Mark, RunLock, RunRecord, end_leftovers
from pizzeria.supervisor.services import REDIS, SIMULATORS

_ENDINGS_ALLOWED_AT_START = 3
_LOG_CHECK_SECONDS = 5.0


class Supervisor:
    """Starts Redis, the services and the simulators; restarts what dies; ends all of them.

    Use it as an async context manager, or call `start` and `stop`. Process names are `redis`, the service
    names (`order`, a second replica `order-2`) and `simulators`. Call it from the main thread's event loop.

    Guarantee: after `stop`, and on Linux also after a kill -9 of this process, none of them is left;
    elsewhere the next run, or `pizzeria down`, ends them.

    Args:
        on_change: called in the event loop for every change of a process.

    Attributes:
        leftovers: names of the processes of a killed run that `start` has ended.
    """

    def __init__(
        self, options: SupervisorOptions, *, on_change: Callable[[Change], None] | None = None
    ) -> None:
        self.options = options
        self.leftovers: list[str] = []
        self._home = options.home
        self._on_change = on_change
        self._lock = RunLock(options.home)
        self._plan: Plan | None = None
        self._keepers: dict[str, Keeper] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._published = False

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def state(self) -> State:
        """What is running now: the content of the state file. Only between `start` and `stop`."""
        assert self._plan is not None, "start it first"  # noqa: S101
        return self._plan.state(self.pids)

    @property
    def pids(self) -> Mapping[str, int | None]:
        """Process ids by name; `None` for what is down."""
        return {name: keeper.program.pid for name, keeper in self._keepers.items()}

    def pid(self, name: str) -> int | None:
        """Process id of one process, `None` while it is down or not ours."""
        return self.pids.get(name)

    async def start(self) -> State:
        """Start everything at once and return when all are ready; then the state file is there.

        Raises: AlreadyRunningError; NoFreePortError; StartFailedError with the end of the log. Nothing is
        left running then.
        """
        self._lock.acquire()
        try:
            self.leftovers = await asyncio.to_thread(end_leftovers, self._home)
            self._prepare_folders()
            self._start_all(Plan(self.options))
            await self._all_ready()
        except BaseException:
            await self.stop()
            raise
        self._published = True
        self._write_files()
        return self.state

    async def stop(self) -> None:
        """End simulators, then services, then Redis, each with the grace time. Harmless when repeated."""
        if not self._lock.held:
            return
        self._published = False
        try:
            last = {SIMULATORS, REDIS}
            for names in ({SIMULATORS}, self._keepers.keys() - last, {REDIS}):
                await asyncio.gather(*(self._end(name) for name in names))
        finally:
            self.kill_all()  # only a cancelled stop leaves some
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            if self._plan is not None:
                if self._plan.forks is not None:
                    await self._plan.forks.close()
                self._plan.release()
            self._tasks.clear()
            self._keepers.clear()
            self._plan = None
            self._home.state_file.unlink(missing_ok=True)
            self._home.record_file.unlink(missing_ok=True)
            self._lock.release()

    async def failed(self) -> None:
        """Returns after `stop`; raises what broke the supervisor. Await it beside what ends the run."""
        # Not gather: whoever stops waiting must not cancel the keepers.
        done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_EXCEPTION)
        for task in done:
            task.result()

    async def wait_ready(self, name: str, *, timeout: float = 30.0) -> None:
        """Return when the process is ready. Raises: TimeoutError after `timeout` seconds."""
        async with asyncio.timeout(timeout):
            await self._keepers[name].ready.wait()

    def kill(self, name: str) -> None:
        """SIGKILL to one process; it is started again unless restarts are off."""
        self._keepers[name].signal(signal.SIGKILL)

    def kill_all(self) -> None:
        """SIGKILL to all processes: for those who do not want to wait for `stop`."""
        for keeper in self._keepers.values():
            keeper.program.signal(signal.SIGKILL)

    def pause(self, name: str) -> None:
        """SIGSTOP: the process does nothing until `resume`, its connections stay open."""
        self._keepers[name].signal(signal.SIGSTOP)

    def resume(self, name: str) -> None:
        """SIGCONT, after `pause`."""
        self._keepers[name].signal(signal.SIGCONT)

    async def restart(self, name: str, *, timeout: float = 30.0) -> None:
        """End one process in good order if it runs, start it, return when it is ready; with restarts off too.

        Raises: TimeoutError.
        """
        self._keepers[name].ready.clear()
        await self._keepers[name].restart(self.options.grace_seconds)
        await self.wait_ready(name, timeout=timeout)

    async def wipe_redis(self) -> None:
        """Make the embedded Redis lose everything that it holds, while it runs."""
        if self._plan is not None and self._plan.redis is not None:
            await self._plan.redis.wipe()

    def _prepare_folders(self) -> None:
        if self.options.fresh:
            shutil.rmtree(self._home.data, ignore_errors=True)
        for folder in (self._home.data, self._home.logs):
            folder.mkdir(parents=True, exist_ok=True)
        self._cut_logs()

    def _start_all(self, plan: Plan) -> None:
        self._plan = plan
        backoff = self.options.backoff if self.options.restart else None
        # The services first: they take longest, and Redis is there when they look for it.
        for name, program in plan.programs.items():
            probe = partial(answers, f"{plan.url(name)}/health/ready") if name in plan.service_names else None
            self._keepers[name] = Keeper(program, backoff=backoff, notify=self._changed, probe=probe)
        if plan.redis is not None:
            self._keepers[REDIS] = Keeper(plan.redis, backoff=backoff, notify=self._changed)
        self._tasks = [asyncio.create_task(keeper.run(), name=name) for name, keeper in self._keepers.items()]
        self._tasks.append(asyncio.create_task(self._bound_logs(), name="logs"))

    async def _all_ready(self) -> None:
        try:
            async with asyncio.timeout(self.options.start_seconds):
                while not all(keeper.ready.is_set() for keeper in self._keepers.values()):
                    self._refuse_crash_loops()
                    await asyncio.sleep(0.02)
        except TimeoutError:
            late = next(name for name, keeper in self._keepers.items() if not keeper.ready.is_set())
            seconds = self.options.start_seconds
            raise StartFailedError(
                f"{late} was not ready after {seconds:.0f} seconds. {self._log_end(late)}"
            ) from None

    def _refuse_crash_loops(self) -> None:
        allowed = _ENDINGS_ALLOWED_AT_START if self.options.restart else 1
        for name, keeper in self._keepers.items():
            if len(keeper.endings) >= allowed:
                raise StartFailedError(f"{name} does not start: {keeper.endings[-1]}. {self._log_end(name)}")

    def _log_end(self, name: str) -> str:
        return f"The end of {self._home.log(name)}:\n{logs.last_lines(self._home.log(name))}"

    async def _end(self, name: str) -> None:
        if (keeper := self._keepers.get(name)) is not None:
            await keeper.stop(self.options.grace_seconds)

    async def _bound_logs(self) -> None:
        while True:
            await asyncio.sleep(_LOG_CHECK_SECONDS)
            self._cut_logs()

    def _cut_logs(self) -> None:
        for log in self._home.logs.glob("*.log"):
            logs.cut(log)

    def _changed(self, change: Change) -> None:
        self._write_files()
        if self._on_change is not None:
            self._on_change(change)

    def _write_files(self) -> None:
        pids = dict(self.pids)
        if self._plan is not None and self._plan.forks is not None:
            pids["fork-server"] = self._plan.forks.pid
        marks = {name: mark for name, pid in pids.items() if pid is not None and (mark := Mark.of(pid))}
        own = Mark.of(os.getpid())
        if own is not None:
            RunRecord(own, marks).write(self._home.record_file)
        if self._published:
            self.state.write(self._home.state_file)
