"""One child process: started so that it cannot outlive us, logged, ended."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, STDOUT, Process
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

# The kernel ends the child when the supervisor dies, even by kill -9; SIGKILL, because a paused child
# would not hear anything softer. It runs in the child, because code between fork and exec is unsafe in a
# program with threads. `getppid` covers a supervisor that died meanwhile.
_TIED_TO_PARENT = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGKILL)
if os.getppid() != int(sys.argv[1]): sys.exit(1)
os.execvp(sys.argv[2], sys.argv[2:])
"""


class Supervised(Protocol):
    """What a keeper can keep running."""

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


class Program:
    """A program in its own process group and session, so that Ctrl-C in the terminal is for us alone.

    Start it from the main thread: on Linux it is killed when the thread that started it ends.

    Args:
        environment: all of it, nothing is inherited beside.
        log: appended to, for both output streams.
    """

    def __init__(
        self, name: str, command: Sequence[str], *, environment: Mapping[str, str], log: Path
    ) -> None:
        self.name = name
        self.log = log
        self._command = command
        self._environment = environment
        self._process: Process | None = None

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    async def start(self) -> None:
        """Start it; returns at once. Raises: OSError when there is no such program."""
        tied = [sys.executable, "-ISc", _TIED_TO_PARENT, str(os.getpid())] if sys.platform == "linux" else []
        with self.log.open("ab") as log:  # append mode, so that the log can be cut while it is written
            self._process = await asyncio.create_subprocess_exec(
                *tied,
                *self._command,
                env=self._environment,
                stdin=DEVNULL,
                stdout=log,
                stderr=STDOUT,
                start_new_session=True,
            )

    async def wait(self) -> str:
        """Return when it has ended: how, in words."""
        if self._process is None:
            return "was never started"
        return describe(await self._process.wait())

    async def stop(self, grace_seconds: float) -> None:
        """SIGTERM, then SIGKILL after `grace_seconds`, to the whole group; returns when it has ended."""
        if self._process is None:
            return
        try:
            self.signal(signal.SIGTERM)
            self.signal(signal.SIGCONT)  # a paused process hears SIGTERM only when it goes on
            async with asyncio.timeout(grace_seconds):
                await self._process.wait()
        except TimeoutError:
            pass
        finally:
            self._kill_group(self._process.pid)
        await self._process.wait()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process; nothing happens when it does not run."""
        if self.pid is not None and self._process is not None:
            self._process.send_signal(number)

    @staticmethod
    def _kill_group(pid: int) -> None:
        try:
            os.killpg(pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):  # macOS says the latter of a group of zombies
            return


def describe(returncode: int) -> str:
    """`exited with code 1`, `killed by SIGKILL`."""
    if returncode >= 0:
        return f"exited with code {returncode}"
    try:
        return f"killed by {signal.Signals(-returncode).name}"
    except ValueError:
        return f"killed by signal {-returncode}"
