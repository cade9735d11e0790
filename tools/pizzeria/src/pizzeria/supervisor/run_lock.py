"""One supervisor per home folder, and the end of what a killed one left behind."""

import contextlib
import fcntl
import json
import os
import signal
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from pizzeria.errors import AlreadyRunningError
from pizzeria.home import Home
from pizzeria.state import write_private

_END_SECONDS = 5.0


class RunLock:
    """A lock on the home folder that the kernel frees when its holder dies, however it dies."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Raises: AlreadyRunningError with the process id of the holder."""
        self._home.path.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._home.lock_file, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            record = RunRecord.read(self._home.record_file)
            who = f" (process {record.supervisor.pid})" if record else ""
            raise AlreadyRunningError(
                f"The pizzeria already runs here{who}: see `pizzeria status`, end it with `pizzeria down`."
            ) from None
        self._descriptor = descriptor

    @property
    def held(self) -> bool:
        """Whether we hold it."""
        return self._descriptor is not None

    def release(self) -> None:
        """Let others run. Harmless when repeated."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def is_running(home: Home) -> bool:
    """Whether a supervisor holds this home folder now."""
    if not home.lock_file.exists():
        return False
    lock = RunLock(home)
    try:
        lock.acquire()
    except AlreadyRunningError:
        return True
    lock.release()
    return False


@dataclass(frozen=True, slots=True)
class Mark:
    """A process beyond doubt: its id, and when it started, because ids are given again."""

    pid: int
    started: float

    @classmethod
    def of(cls, pid: int) -> "Mark | None":
        """The process that has this id now, if any."""
        try:
            return cls(pid, psutil.Process(pid).create_time())
        except psutil.NoSuchProcess:
            return None

    def process(self) -> psutil.Process | None:
        """The process, when it still lives."""
        try:
            process = psutil.Process(self.pid)
            if process.create_time() == self.started and process.status() != psutil.STATUS_ZOMBIE:
                return process
        except psutil.NoSuchProcess:
            pass
        return None


@dataclass(frozen=True, slots=True)
class RunRecord:
    """Content of `run.json`: the supervisor and its children."""

    supervisor: Mark
    processes: Mapping[str, Mark]

    @classmethod
    def read(cls, path: Path) -> "RunRecord | None":
        """`None` when there is no usable record."""
        try:
            content = json.loads(path.read_text())
            return cls(
                Mark(*content["supervisor"]),
                {name: Mark(*mark) for name, mark in content["processes"].items()},
            )
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write(self, path: Path) -> None:
        """Replace the file in one step."""
        processes = {name: (mark.pid, mark.started) for name, mark in self.processes.items()}
        supervisor = (self.supervisor.pid, self.supervisor.started)
        write_private(path, json.dumps({"supervisor": supervisor, "processes": processes}))


def end_leftovers(home: Home) -> list[str]:
    """End the processes of a run whose supervisor was killed, remove its files; the names of those ended.

    Call it only while holding the lock. Blocks up to 5 seconds for those that want to end in good order.
    """
    record = RunRecord.read(home.record_file)
    marks = record.processes if record else {}
    left = {name: process for name, mark in marks.items() if (process := mark.process()) is not None}
    _signal_groups(left.values(), signal.SIGTERM)
    _signal_groups(left.values(), signal.SIGCONT)
    _, alive = psutil.wait_procs([*left.values()], timeout=_END_SECONDS)
    _signal_groups(alive, signal.SIGKILL)
    psutil.wait_procs(alive, timeout=_END_SECONDS)
    home.state_file.unlink(missing_ok=True)
    home.record_file.unlink(missing_ok=True)
    return [*left]


def _signal_groups(processes: Iterable[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)  # each child leads its own group
