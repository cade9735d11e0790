"""One child process: started so that it cannot outlive us, logged, ended."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, STDOUT, Process
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

# The kernel ends the child when the supervisor dies, even by kill -9; SIGKILL, because a paused child
# would not hear anything softer. It runs in the child, because code between fork and exec is unsafe in a
# program with threads. `getppid` covers a supervisor that died meanwhile.
TIED_TO_PARENT = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGKILL)
if os.getppid() != int(sys.argv[1]): sys.exit(1)
os.execvp(sys.argv[2], sys.argv[2:])
"""


class Child(Protocol):
    """A running process: what `asyncio.subprocess.Process` and `Forked` have in common."""

    @property
    def pid(self) -> int:
        """Process id; it leads a group of its own."""

    @property
    def returncode(self) -> int | None:
        """`None` while it runs, negative for the signal that killed it."""

    async def wait(self) -> int:
        """The return code, once it has ended."""


async def launch(command: Sequence[str], environment: Mapping[str, str], log: Path) -> Process:
    """Run a command in a session of its own, so that Ctrl-C in the terminal is for us alone.

    Call it from the main thread: on Linux the child is killed when the thread that started it ends.

    Args:
        environment: all of it, nothing is inherited beside.
        log: appended to, for both output streams.
    Raises: OSError when there is no such program.
    """
    tied = [sys.executable, "-ISc", TIED_TO_PARENT, str(os.getpid())] if sys.platform == "linux" else []
    with log.open("ab") as output:  # append mode, so that the log can be cut while it is written
        return await asyncio.create_subprocess_exec(
            *tied,
            *command,
            env=environment,
            stdin=DEVNULL,
            stdout=output,
            stderr=STDOUT,
            start_new_session=True,
        )


class Program:
    """A service or the simulators, started any number of times, one at a time.

    Args:
        launch: starts it.
    """

    def __init__(self, name: str, launch: Callable[[], Awaitable[Child]]) -> None:
        self.name = name
        self._launch = launch
        self._child: Child | None = None

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._child.pid if self._child is not None and self._child.returncode is None else None

    async def start(self) -> None:
        """Start it; returns at once. Raises: OSError, StartFailedError."""
        self._child = await self._launch()

    async def wait(self) -> str:
        """Return when it has ended: how, in words."""
        return describe(await self._child.wait()) if self._child is not None else "was never started"

    async def stop(self, grace_seconds: float) -> None:
        """SIGTERM, then SIGKILL after `grace_seconds`, to the whole group; returns when it has ended."""
        if self._child is None:
            return
        try:
            self.signal(signal.SIGTERM)
            self.signal(signal.SIGCONT)  # a paused process hears SIGTERM only when it goes on
            async with asyncio.timeout(grace_seconds):
                await self._child.wait()
        except TimeoutError:
            pass
        finally:
            self._kill_group(self._child.pid)
        await self._child.wait()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process; nothing happens when it does not run."""
        if (pid := self.pid) is not None:
            with suppress(ProcessLookupError):  # it has just ended, and we have not heard of it yet
                os.kill(pid, number)

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
