"""Runs the whole pizzeria as child processes and keeps it running."""

import asyncio
import os
import secrets
import shutil
import signal
from collections.abc import Callable, Mapping
from typing import Self

from pizzeria.backoff import Backoff
from pizzeria.errors import StartFailedError
from pizzeria.probe import answers
from pizzeria.state import Endpoint, State
from pizzeria.supervisor import logs, services
from pizzeria.supervisor.keeper import Change, Keeper
from pizzeria.supervisor.options import SupervisorOptions
from pizzeria.supervisor.ports import Reservation, reserve
from pizzeria.supervisor.program import Program
from pizzeria.supervisor.redis_server import RedisServer
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
    """

    def __init__(
        self, options: SupervisorOptions, *, on_change: Callable[[Change], None] | None = None
    ) -> None:
        self.options = options
        self.leftovers: list[str] = []
        self._home = options.home
        self._on_change = on_change
        self._lock = RunLock(options.home)
        self._tokens = services.make_tokens(options.tokens)
        self._ports: dict[str, Reservation] = {}
        self._redis: RedisServer | None = None
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
        """What is running now: the content of the state file."""
        redis = self._redis.url if self._redis else self.options.redis_url or ""
        return State(
            redis=Endpoint(redis, self.pid(REDIS)),
            services={name: Endpoint(self._url(name), self.pid(name)) for name in self._service_names()},
            tokens=dict(self._tokens),
        )

    @property
    def pids(self) -> Mapping[str, int | None]:
        """Process ids by name; `None` for what is down."""
        return {name: keeper.program.pid for name, keeper in self._keepers.items()}

    def pid(self, name: str) -> int | None:
        """Process id of one process, `None` while it is down or not ours."""
        return self._keepers[name].program.pid if name in self._keepers else None

    async def start(self) -> State:
        """Start everything at once and return when all are ready; then the state file is there.

        Raises: AlreadyRunningError; NoFreePortError; StartFailedError with the end of the log. Nothing is
        left running then.
        """
        self._lock.acquire()
        try:
            self.leftovers = await asyncio.to_thread(end_leftovers, self._home)
            self._prepare_folders()
            self._start_all()
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
        grace = self.options.grace_seconds
        others = [keeper for name, keeper in self._keepers.items() if name not in (REDIS, SIMULATORS)]
        try:
            for group in (self._named(SIMULATORS), others, self._named(REDIS)):
                await asyncio.gather(*(keeper.stop(grace) for keeper in group))
        finally:
            self.kill_all()  # only a cancelled stop leaves some
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            self._tasks.clear()
            self._keepers.clear()
            if self._redis is not None:
                self._redis.close()
                self._redis = None
            for reservation in self._ports.values():
                reservation.release()
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
        if self._redis is not None:
            await self._redis.wipe()

    def _prepare_folders(self) -> None:
        if self.options.fresh:
            shutil.rmtree(self._home.data, ignore_errors=True)
        for folder in (self._home.data, self._home.logs):
            folder.mkdir(parents=True, exist_ok=True)

    def _start_all(self) -> None:
        options = self.options
        wanted = {name: services.PORTS.get(name, 0) for name in self._service_names()}
        if options.redis_url is None:
            wanted[REDIS] = services.REDIS_PORT
        self._ports = reserve(dict.fromkeys(wanted, 0) if options.any_port else wanted)
        if options.redis_url is None:
            password = secrets.token_urlsafe(24)
            self._redis = RedisServer(self._home.data, port=self._ports[REDIS].port, password=password)
        urls = {name: self._url(name) for name in services.PORTS}
        shared = services.inherited_environment() | services.shared_environment(urls, self._tokens)
        shared["REDIS_URL"] = self._redis.url if self._redis else options.redis_url or ""
        # The services first: they import for a second or more, and Redis is there by then.
        for name in self._service_names():
            self._keep(self._service(name, shared), probe=f"{self._url(name)}/health/ready")
        if self._redis is not None:
            self._keepers[REDIS] = Keeper(self._redis, backoff=self._backoff(), notify=self._changed)
        if options.simulation is not None:
            rate = {"ORDERS_PER_SECOND": str(options.simulation.orders_per_second)}
            self._keep(self._program(SIMULATORS, shared | rate))
        self._tasks = [asyncio.create_task(keeper.run(), name=name) for name, keeper in self._keepers.items()]
        self._tasks.append(asyncio.create_task(self._bound_logs(), name="logs"))

    def _service(self, name: str, shared: Mapping[str, str]) -> Program:
        service = name.split("-")[0]
        database = self.options.database_urls.get(service) or services.sqlite_url(self._home.data, service)
        own = {"HOST": "127.0.0.1", "PORT": str(self._ports[name].port), "DATABASE_URL": database}
        return self._program(name, {**shared, **own})

    def _program(self, name: str, environment: Mapping[str, str]) -> Program:
        extra = self.options.environment.get(name.split("-")[0], {})
        command = self.options.commands.get(name) or services.command(name.split("-")[0])
        return Program(name, command, environment={**environment, **extra}, log=self._home.log(name))

    def _keep(self, program: Program, *, probe: str | None = None) -> None:
        logs.cut(program.log)
        self._keepers[program.name] = Keeper(
            program,
            backoff=self._backoff(),
            notify=self._changed,
            probe=(lambda: answers(probe)) if probe is not None else None,
        )

    async def _all_ready(self) -> None:
        try:
            async with asyncio.timeout(self.options.start_seconds):
                while not all(keeper.ready.is_set() for keeper in self._keepers.values()):
                    self._refuse_crash_loops()
                    await asyncio.sleep(0.02)
        except TimeoutError:
            late = next(name for name, keeper in self._keepers.items() if not keeper.ready.is_set())
            raise StartFailedError(
                f"{late} was not ready after {self.options.start_seconds:.0f} seconds. "
                f"The end of {self._home.log(late)}:\n{logs.last_lines(self._home.log(late))}"
            ) from None

    def _refuse_crash_loops(self) -> None:
        allowed = _ENDINGS_ALLOWED_AT_START if self.options.restart else 1
        for name, keeper in self._keepers.items():
            if len(keeper.endings) >= allowed:
                raise StartFailedError(
                    f"{name} does not start: {keeper.endings[-1]}. "
                    f"The end of {self._home.log(name)}:\n{logs.last_lines(self._home.log(name))}"
                )

    async def _bound_logs(self) -> None:
        while True:
            await asyncio.sleep(_LOG_CHECK_SECONDS)
            for name in self._keepers:
                logs.cut(self._home.log(name))

    def _changed(self, change: Change) -> None:
        self._write_files()
        if self._on_change is not None:
            self._on_change(change)

    def _write_files(self) -> None:
        marks = {name: mark for name, pid in self.pids.items() if pid is not None and (mark := Mark.of(pid))}
        own = Mark.of(os.getpid())
        if own is not None:
            RunRecord(own, marks).write(self._home.record_file)
        if self._published:
            self.state.write(self._home.state_file)

    def _service_names(self) -> list[str]:
        return [
            service if number == 1 else f"{service}-{number}"
            for service in services.PORTS
            for number in range(1, self.options.replicas.get(service, 1) + 1)
        ]

    def _named(self, name: str) -> list[Keeper]:
        return [self._keepers[name]] if name in self._keepers else []

    def _backoff(self) -> Backoff | None:
        return self.options.backoff if self.options.restart else None

    def _url(self, name: str) -> str:
        return f"http://127.0.0.1:{self._ports[name].port}" if name in self._ports else ""
