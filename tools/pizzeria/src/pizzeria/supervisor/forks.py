"""Our side of the fork server: services start from it in a fraction of a second and share its memory."""

import asyncio
import itertools
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from pizzeria.errors import StartFailedError
from pizzeria.supervisor.program import TIED_TO_PARENT

_ANSWER_SECONDS = 30.0


class Forked:
    """A child of the fork server, with the methods of `asyncio.subprocess.Process` that a program needs."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._ended = asyncio.Event()

    async def wait(self) -> int:
        """The exit code, negative for a signal, once it has ended."""
        await self._ended.wait()
        assert self.returncode is not None  # noqa: S101  set before the event
        return self.returncode

    def ended(self, returncode: int) -> None:
        """Told by the fork server."""
        self.returncode = returncode
        self._ended.set()


class ForkServerClient:
    """Starts the fork server when it is needed, again when it died; its children die with it.

    Args:
        preload: modules that are imported before the first fork.
        log: what the server itself has to say.
    """

    def __init__(self, preload: Sequence[str], *, environment: Mapping[str, str], log: Path) -> None:
        self._preload = preload
        self._environment = environment
        self._log = log
        self._ids = itertools.count(1)
        self._process: Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._starting = asyncio.Lock()
        self._asked: dict[int, asyncio.Future[Forked]] = {}
        self._children: dict[int, Forked] = {}

    @property
    def pid(self) -> int | None:
        """Process id of the server while it runs."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    async def fork(self, module: str, environment: Mapping[str, str], log: Path) -> Forked:
        """Run `python -m module` in a fork. Raises: StartFailedError without an answer in 30 seconds."""
        async with self._starting:
            if self.pid is None:
                await self._start()
        assert self._process is not None  # noqa: S101  just started
        assert self._process.stdin is not None  # noqa: S101  asked for
        number = next(self._ids)
        answer = self._asked[number] = asyncio.get_running_loop().create_future()
        request = {"id": number, "module": module, "environment": {**environment}, "log": str(log)}
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        try:
            return await asyncio.wait_for(answer, _ANSWER_SECONDS)
        except TimeoutError:
            raise StartFailedError("The fork server does not answer.") from None
        finally:
            self._asked.pop(number, None)

    async def close(self) -> None:
        """End the server and whatever children it still has."""
        if self._process is not None and self._reader is not None:
            assert self._process.stdin is not None  # noqa: S101  asked for
            self._process.stdin.close()
            try:
                await asyncio.wait_for(asyncio.shield(self._reader), 2)
            except TimeoutError:
                self._process.kill()
                await self._reader

    async def _start(self) -> None:
        command = [sys.executable, "-m", "pizzeria.fork_server", *self._preload]
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-ISc", TIED_TO_PARENT, str(os.getpid())),
                *command,
                env=self._environment,
                stdin=PIPE,
                stdout=PIPE,
                stderr=log,
                start_new_session=True,
            )
        self._reader = asyncio.create_task(self._read(self._process), name="fork-server")

    async def _read(self, process: Process) -> None:
        """Take in answers until the server has ended; then nobody it has forked lives."""
        assert process.stdout is not None  # noqa: S101  asked for
        while line := await process.stdout.readline():
            self._take(json.loads(line))
        await process.wait()
        for child in self._children.values():
            child.ended(-signal.SIGKILL)
        self._children.clear()
        for waiting in self._asked.values():
            if not waiting.done():
                waiting.set_exception(StartFailedError("The fork server has ended."))

    def _take(self, answer: Mapping[str, Any]) -> None:
        pid = answer["pid"]
        if "returncode" in answer:
            self._children.pop(pid).ended(answer["returncode"])
            return
        child = self._children[pid] = Forked(pid)
        waiting = self._asked.get(answer["id"])
        if waiting is None or waiting.done():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)  # whoever asked for it has gone
        else:
            waiting.set_result(child)
