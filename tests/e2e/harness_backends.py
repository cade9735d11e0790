"""Ways to run the pizzeria under test. Each can start it, hurt one process of it, and end it."""

import asyncio
import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from pizzeria.backoff import Backoff
from pizzeria.home import Home
from pizzeria.supervisor import REDIS, Supervisor, SupervisorOptions
from rediscore.testing import ContainerServer, eventually

from tests.e2e.harness_snapshot import SERVICES

# Times of the demo made short, so that what waits for a lease or a deadline is over in a test's time.
_EVERYWHERE = {"STREAM_LEASE_SECONDS": "2"}
SHORT_TIMES: Mapping[str, Mapping[str, str]] = {
    "kitchen": {**_EVERYWHERE, "LEASE_SECONDS": "2"},
    "order": {**_EVERYWHERE, "KITCHEN_DEADLINE_SECONDS": "20"},
    "menu": _EVERYWHERE,
    "analytics": _EVERYWHERE,
}


class BackEnd(Protocol):
    """One running pizzeria without simulators.

    Process names are `redis`, the services, and `order-2` … for further replicas. All waits are bounded.
    """

    name: str

    @property
    def urls(self) -> Mapping[str, Sequence[str]]:
        """The addresses of each service, one per replica."""

    @property
    def tokens(self) -> Mapping[str, str]:
        """Of cook, driver, manager and service."""

    @property
    def redis_url(self) -> str:
        """With password; reachable from here."""

    async def start(self) -> None:
        """Return when all are ready."""

    async def stop(self) -> None:
        """End everything and remove it. Harmless when repeated."""

    async def kill(self, process: str) -> None:
        """kill -9; returns when it is dead."""

    async def pause(self, process: str) -> None:
        """It does nothing any more; its connections stay open."""

    async def resume(self, process: str) -> None:
        """Go on after `pause`. Harmless when it was not paused."""

    async def up(self, process: str) -> None:
        """See that it runs, start it if nobody else does, and return when it is ready."""

    async def incarnation(self, process: str) -> str:
        """Another text for each start of the process."""

    def log(self, process: str) -> str:
        """The end of what it wrote."""


class ContainerRedis(ContainerServer):
    """Redis in a container that can be paused."""

    def pause(self) -> None:
        self._container.get_wrapped_container().pause()

    def resume(self) -> None:
        wrapped = self._container.get_wrapped_container()
        wrapped.reload()
        if wrapped.status == "paused":
            wrapped.unpause()

    def started_at(self) -> str:
        wrapped = self._container.get_wrapped_container()
        wrapped.reload()
        return str(wrapped.attrs["State"]["StartedAt"])

    def running(self) -> bool:
        wrapped = self._container.get_wrapped_container()
        wrapped.reload()
        return bool(wrapped.status == "running")


class Processes:
    """The services as processes of the supervisor; Redis embedded or in a container; SQLite or PostgreSQL.

    Args:
        contained: Redis in a container instead of the embedded server.
        postgres: a running server for all four databases, made on it here; without it SQLite files.
        replicas: processes per service.
        commands: for processes that are started by another command than `python -m <service>`.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        *,
        contained: bool = False,
        postgres: Any = None,
        replicas: Mapping[str, int] | None = None,
        commands: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self.name = name
        self._folder = folder
        self._postgres = postgres
        self._replicas = replicas or {}
        self._commands = commands or {}
        self._redis = ContainerRedis() if contained else None
        self._supervisor: Supervisor | None = None
        self._endings: dict[str, str] = {}

    @property
    def urls(self) -> Mapping[str, Sequence[str]]:
        found = self._running.state.services
        return {
            service: [endpoint.url for name, endpoint in found.items() if name.split("-")[0] == service]
            for service in SERVICES
        }

    @property
    def tokens(self) -> Mapping[str, str]:
        return self._running.state.tokens

    @property
    def redis_url(self) -> str:
        return self._running.state.redis.url

    @property
    def _running(self) -> Supervisor:
        assert self._supervisor is not None, "start it first"
        return self._supervisor

    async def start(self) -> None:
        if self._redis is not None:
            await asyncio.to_thread(self._redis.start)
        databases = await asyncio.to_thread(self._make_databases) if self._postgres else {}
        self._supervisor = Supervisor(
            SupervisorOptions(
                home=Home(self._folder),
                fresh=True,
                redis_url=self._redis.url if self._redis else None,
                database_urls=databases,
                replicas=self._replicas,
                commands=self._commands,
                environment=SHORT_TIMES,
                any_port=True,
                # Many kills in one run must not add up to long pauses.
                backoff=Backoff(0.1, 0.5),
                simulation=None,
            ),
            on_change=lambda change: self._endings.update({change.name: change.detail}),
        )
        await self._supervisor.start()

    def _make_databases(self) -> dict[str, str]:
        statements = [
            argument
            for service in SERVICES
            for argument in (
                "-c",
                f'DROP DATABASE IF EXISTS "{service}"',
                "-c",
                f'CREATE DATABASE "{service}"',
            )
        ]
        made = self._postgres.exec(["psql", "-U", "test", *statements])
        assert made.exit_code == 0, made.output
        host, port = self._postgres.get_container_host_ip(), self._postgres.get_exposed_port(5432)
        return {service: f"postgresql://test:test@{host}:{port}/{service}" for service in SERVICES}

    async def stop(self) -> None:
        if self._supervisor is not None:
            await self._supervisor.stop()
            self._supervisor = None
        if self._redis is not None:
            await asyncio.to_thread(self._redis.remove)

    async def kill(self, process: str) -> None:
        if process == REDIS and self._redis is not None:
            await asyncio.to_thread(self._redis.kill)
            return
        before = self._running.pid(process)
        self._running.kill(process)
        await eventually(lambda: self._running.pid(process) != before, what=f"{process} is dead")

    async def terminate(self, process: str) -> str:
        """SIGTERM to one process; how it ended, in words, when it has."""
        pid = self._running.pid(process)
        assert pid is not None
        os.kill(pid, signal.SIGTERM)
        await eventually(lambda: "exited" in self._endings.get(process, ""), within=40)
        return self._endings[process]

    async def restart(self, process: str) -> None:
        """End one process in good order, start it again, return when it is ready."""
        await self._running.restart(process)

    def database(self, service: str) -> Path:
        """The SQLite file of a service."""
        return Home(self._folder).data / f"{service}.db"

    async def pause(self, process: str) -> None:
        if process == REDIS and self._redis is not None:
            await asyncio.to_thread(self._redis.pause)
        else:
            self._running.pause(process)

    async def resume(self, process: str) -> None:
        if process == REDIS and self._redis is not None:
            await asyncio.to_thread(self._redis.resume)
        else:
            self._running.resume(process)

    async def up(self, process: str) -> None:
        if process == REDIS and self._redis is not None:
            if not await asyncio.to_thread(self._redis.running):
                await asyncio.to_thread(self._redis.start)
        else:
            await self._running.wait_ready(process, timeout=20)

    async def incarnation(self, process: str) -> str:
        if process == REDIS and self._redis is not None:
            return await asyncio.to_thread(self._redis.started_at)
        return str(self._running.pid(process))

    def log(self, process: str) -> str:
        file = Home(self._folder).log(process)
        return "\n".join(file.read_text(errors="replace").splitlines()[-20:]) if file.exists() else ""
