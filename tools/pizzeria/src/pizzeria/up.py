"""`pizzeria up`: runs until Ctrl-C, SIGTERM or a closed terminal."""

import asyncio
import http.client
import json
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Coroutine
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pizzeria.errors import CallFailedError, PizzeriaError
from pizzeria.greeting import greeting
from pizzeria.live.board import Move
from pizzeria.supervisor import Change, Supervisor, SupervisorOptions
from pizzeria.supervisor.services import PORTS

_NEWS = 4
_FRAMES_PER_SECOND = 4


def say(line: str) -> None:
    """To the terminal, or to whoever reads our output line by line."""
    try:
        print(line, flush=True)  # noqa: T201
    except OSError:
        # The terminal is closed, or `head` has seen enough: the pizzeria ends in good order all the same.
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115  for good


class Run:
    """One run of the pizzeria in the foreground.

    Args:
        quiet: no live view; only what happens to processes is told.
    """

    def __init__(self, options: SupervisorOptions, *, quiet: bool) -> None:
        self._options = options
        self._quiet = quiet
        self._news: deque[str] = deque(maxlen=_NEWS)
        self._tell: Callable[[str], None] = say
        self._open = False
        self._told = asyncio.Event()
        self._supervisor = Supervisor(options, on_change=self._process_changed)

    async def until_told(self) -> None:
        """Start, greet, show, and end everything. Raises: PizzeriaError when it does not start."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, self._signalled)
        begun = time.monotonic()
        try:
            if await self._unless_told(self._supervisor.start()):
                await self._stay_open(time.monotonic() - begun)
            say("Closing …")
        finally:
            self._open = False
            await self._supervisor.stop()
        say("Closed. Nothing is left running.")

    async def _stay_open(self, seconds: float) -> None:
        if self._supervisor.leftovers:
            say(f"Ended first what a killed run had left: {', '.join(self._supervisor.leftovers)}.")
        await self._greet(seconds)
        self._open = True
        async with asyncio.TaskGroup() as group:
            show = group.create_task(self._show())
            await self._unless_told(self._supervisor.failed())
            show.cancel()

    def _signalled(self) -> None:
        if self._told.is_set():
            self._supervisor.kill_all()
        self._told.set()

    async def _unless_told(self, work: Coroutine[Any, Any, Any]) -> bool:
        """Run `work` until it ends (True) or a signal comes (False; `work` is cancelled then)."""
        task, told = asyncio.create_task(work), asyncio.create_task(self._told.wait())
        try:
            await asyncio.wait((task, told), return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                task.result()
                return True
            return False
        finally:
            for each in (task, told):
                each.cancel()
            await asyncio.gather(task, told, return_exceptions=True)

    async def _greet(self, seconds: float) -> None:
        state = self._supervisor.state
        token = await asyncio.to_thread(sign_in, state.services["order"].url)
        say(greeting(state, self._options.home, guest_token=token, seconds=seconds))

    async def _show(self) -> None:
        if self._quiet:
            return
        try:
            await (self._paint() if sys.stdout.isatty() else self._narrate())
        except Exception as error:  # noqa: BLE001  the pizzeria does not close because nobody can see it
            self._line(f"The live view has ended: {error!r}")

    async def _narrate(self) -> None:
        # Imported here and below: while the services start they need the processor more.
        from pizzeria.live.watch import Watcher

        state = self._supervisor.state
        await Watcher(state, on_move=self._order_moved, on_health=self._health_changed).run()

    async def _paint(self) -> None:
        from rich.live import Live

        from pizzeria.live.view import render
        from pizzeria.live.watch import Watcher

        watcher = Watcher(self._supervisor.state, on_health=self._health_changed)
        self._tell = self._news.append
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(watcher.run())
                with Live(auto_refresh=False, transient=True) as live:
                    while True:
                        live.update(
                            render(watcher.picture, self._supervisor.pids, [*self._news]), refresh=True
                        )
                        await asyncio.sleep(1 / _FRAMES_PER_SECOND)
        finally:
            self._tell = say

    def _process_changed(self, change: Change) -> None:
        if self._open:
            pid = f" (process {change.pid})" if change.pid else ""
            self._line(f"{change.name} {change.event}{pid} {change.detail}".rstrip())

    def _health_changed(self, service: str, health: str, reasons: str) -> None:
        self._line(f"{service} is {health}" + (f": {reasons}" if reasons else ""))

    def _order_moved(self, move: Move) -> None:
        what = f" {move.order.pizzas}, {move.order.total}" if move.before is None else ""
        way = f"{move.before} → {move.after}" if move.before else move.after
        self._line(f"order {move.order.id} {way}{what}" + (f" ({move.reason})" if move.reason else ""))

    def _line(self, line: str) -> None:
        self._tell(f"{datetime.now().astimezone():%H:%M:%S} {line}")


def sign_in(order_url: str) -> str:
    """The session token of a new guest, for the printed lines. Raises: CallFailedError."""
    address = urlsplit(order_url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=15)
    try:
        connection.request(
            "POST", "/sessions", json.dumps({"name": "Guest"}), {"Content-Type": "application/json"}
        )
        reply = connection.getresponse()
        if reply.status != 201:
            raise CallFailedError(f"The order service lets nobody sign in: it answers {reply.status}.")
        token = json.loads(reply.read())["token"]
    except (OSError, http.client.HTTPException) as error:
        raise CallFailedError(f"The order service lets nobody sign in: {error!r}.") from error
    finally:
        connection.close()
    return str(token)


def database_urls(template: str | None) -> dict[str, str]:
    """The address of each service's own database. Raises: PizzeriaError when they would share one."""
    if template is None:
        return {}
    if "{service}" not in template:
        raise PizzeriaError(
            "Each service has a database of its own: write {service} into --database-url, "
            "as in postgresql://user:password@localhost/pizzeria_{service}."
        )
    return {service: template.replace("{service}", service) for service in PORTS}
