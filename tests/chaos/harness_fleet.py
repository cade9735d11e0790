"""The processes of a run: real ones, forked from one that has all imported, and born again when they die."""

import asyncio
import contextlib
import multiprocessing
import multiprocessing.context
import os
import runpy
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from rediscore.testing import eventually

from tests.chaos import program_queue, program_relay, program_streams
from tests.chaos.harness_run import Run

Program = Callable[[Run, str, asyncio.Event], Awaitable[None]]

CREW: Final[Mapping[str, int]] = {
    "queue": 3,
    "tasks": 2,
    "streams": 3,
    "writer": 2,
    "relay": 2,
    "consumer": 2,
}
PROGRAMS: Final[Mapping[str, Program]] = {
    "queue": program_queue.main,
    "streams": program_streams.main,
    "writer": program_relay.write,
    "relay": program_relay.relay,
    "consumer": program_relay.consume,
}
_CONTEXT: Final = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload([__name__, "rediscore.tasks.worker", "tests.chaos.program_tasks"])
_LOOK = 0.02


@dataclass(eq=False)
class Member:
    """One place in the fleet and the process that fills it now. `lives` counts the processes."""

    kind: str
    name: str
    process: "multiprocessing.context.ForkServerProcess | None" = None
    lives: int = 0
    paused: bool = False
    wanted: bool = True
    ends: list[int] = field(default_factory=list)

    @property
    def pid(self) -> int:
        """Of a process that was started and not reaped yet."""
        assert self.process is not None
        assert self.process.pid is not None
        return self.process.pid


class Fleet:
    """All processes of a run. `supervise` fills the places of those that die."""

    def __init__(self, run: Run, crew: Mapping[str, int] = CREW) -> None:
        self._run = run
        self.members = [Member(kind, f"{kind}-{n}") for kind, count in crew.items() for n in range(count)]

    async def start(self) -> None:
        """Fill all places, and wait until everybody is awake."""
        for member in self.members:
            self._fill(member)
        await eventually(lambda: all(map(self._is_awake, self.members)), within=60, what="a fleet at work")

    def _is_awake(self, member: Member) -> bool:
        return self._run.file(f"{member.name}.1.log").exists()

    def _fill(self, member: Member) -> None:
        if member.process is not None:
            member.process.join()
            member.ends.append(member.process.exitcode or 0)
            member.process.close()
        member.lives += 1
        member.process = _CONTEXT.Process(
            target=_live, args=(self._run, member.kind, f"{member.name}.{member.lives}"), daemon=True
        )
        member.process.start()

    async def supervise(self) -> None:
        """Start another process where one has died; ends by cancellation."""
        while True:
            for member in self.members:
                if member.wanted and member.process is not None and not member.process.is_alive():
                    self._fill(member)
            await asyncio.sleep(_LOOK)

    def kill(self, member: Member) -> None:
        """SIGKILL, also to one that is paused."""
        with contextlib.suppress(ProcessLookupError):  # it has just died by itself
            os.kill(member.pid, signal.SIGKILL)

    async def pause(self, member: Member, seconds: float) -> None:
        """SIGSTOP, and SIGCONT after that time. Whoever is killed meanwhile is not woken."""
        pid = member.pid
        member.paused = True
        try:
            with contextlib.suppress(ProcessLookupError):  # as above
                os.kill(pid, signal.SIGSTOP)
            await asyncio.sleep(seconds)
        finally:
            member.paused = False
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    async def retire(self, kind: str | None = None, within: float = 15.0) -> list[str]:
        """Ask them to end (SIGTERM); sentences about those that do not, or end badly."""
        leaving = [m for m in self.members if m.wanted and kind in (None, m.kind)]
        for member in leaving:
            member.wanted = False
            with contextlib.suppress(ProcessLookupError):
                os.kill(member.pid, signal.SIGTERM)
        wrong = []
        for member in leaving:
            assert member.process is not None
            await asyncio.to_thread(member.process.join, within)
            if member.process.exitcode != 0:
                wrong.append(f"{member.name} was told to stop and ended with {member.process.exitcode}")
        return wrong

    def end(self) -> None:
        """Kill what is left."""
        for member in self.members:
            member.wanted = False
            if member.process is not None and member.process.is_alive():
                self.kill(member)
                member.process.join()

    def deaths(self, kind: str) -> int:
        """How many processes of that kind were killed, by us or by an item."""
        return sum(m.ends.count(-signal.SIGKILL) for m in self.members if m.kind == kind)

    def unexpected_ends(self) -> list[str]:
        """Processes that ended by themselves: a bug, whatever its exit code."""
        return [
            f"{m.name} ended by itself with {code}; see its log"
            for m in self.members
            for code in m.ends
            if code != -signal.SIGKILL
        ]


def _live(run: Run, kind: str, name: str) -> None:
    """The life of one process, with what it says in a file of its own."""
    log = os.open(run.file(f"{name}.log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    if kind == "tasks":
        os.environ |= {"CHAOS_RUN": run.to_json(), "CHAOS_NAME": name}
        sys.argv = ["rediscore.tasks", "worker", "tests.chaos.program_tasks:tasks", "--concurrency", "8"]
        sys.argv += ["--name", name, "--grace", "5"]
        runpy.run_module("rediscore.tasks", run_name="__main__", alter_sys=True)  # as `python -m` does
    asyncio.run(_until_told(PROGRAMS[kind], run, name))


async def _until_told(program: Program, run: Run, name: str) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await program(run, name, stop)
