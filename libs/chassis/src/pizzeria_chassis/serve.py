"""Running a service as a process that ends well."""

import asyncio
import contextlib
import signal
import sys
from collections.abc import Callable, Iterator
from typing import TypeVar

import structlog
import uvicorn
from fastapi import FastAPI

from pizzeria_chassis.settings import ServiceSettings
from pizzeria_chassis.telemetry import configure_logging, stop_tracing

__all__ = ["serve"]

_log = structlog.get_logger(__name__)
SettingsT = TypeVar("SettingsT", bound=ServiceSettings)


class _Server(uvicorn.Server):
    """uvicorn, except that SIGTERM and SIGINT end it with exit code 0 and readiness goes off at once."""

    def __init__(self, config: uvicorn.Config, stopping: asyncio.Event) -> None:
        super().__init__(config)
        self._stopping = stopping

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # uvicorn raises the signal again after its shutdown, which would end the process by that signal.
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._ask_to_stop, number)
        try:
            yield
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)

    def _ask_to_stop(self, number: signal.Signals) -> None:
        _log.info("stop_requested", signal=number.name)
        self._stopping.set()
        self.should_exit = True


def serve(app_factory: Callable[[SettingsT], FastAPI], settings: SettingsT) -> None:
    """Serve until SIGTERM or SIGINT, then end the process with code 0.

    On the signal readiness goes off, no new connection is taken, requests under way may end within
    ``grace_seconds``, then the components stop. A service that cannot start ends with code 3.
    """
    configure_logging(settings)
    app = app_factory(settings)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        loop="uvloop" if sys.platform != "win32" else "asyncio",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=max(1, round(settings.grace_seconds)),
        timeout_keep_alive=30,
    )
    server = _Server(config, app.state.stopping)
    server.run()
    stop_tracing()
    if not server.started:
        raise SystemExit(3)
