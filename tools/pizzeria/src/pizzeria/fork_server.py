"""A process that has loaded what the services share, and forks one service per request.

    python -m pizzeria.fork_server MODULE...

Reads requests from stdin, one JSON object per line: {"id", "module", "environment", "log"}. Writes answers to
stdout: {"id", "pid"} when it has forked, {"pid", "returncode"} when a child has ended. At the end of stdin it
kills its children and ends. It has no threads and no event loop, so that forking is safe.
"""

import ctypes
import gc
import importlib
import json
import os
import runpy
import select
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any, TextIO

_PR_SET_PDEATHSIG, _PR_SET_NAME = 1, 15


class ForkServer:
    """The children, and the conversation with the supervisor."""

    def __init__(self, answers: TextIO) -> None:
        self._answers = answers
        self._children: set[int] = set()
        self._unread = b""
        self._woken, self._wake = os.pipe()

    def next_child(self) -> dict[str, Any] | None:
        """Serve. Returns the request in the child that is forked for it, `None` in the server at its end."""
        os.set_blocking(self._wake, False)
        signal.set_wakeup_fd(self._wake)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        while True:
            readable = select.select([0, self._woken], [], [])[0]
            if self._woken in readable:
                os.read(self._woken, 512)
                self._tell_who_ended()
            if 0 in readable:
                data = os.read(0, 65_536)
                if not data:
                    self._kill_children()
                    return None
                for request in self._requests(data):
                    if self._fork(request):
                        return request

    def _requests(self, data: bytes) -> Iterator[dict[str, Any]]:
        *lines, self._unread = (self._unread + data).split(b"\n")
        for line in lines:
            yield json.loads(line)

    def _fork(self, request: dict[str, Any]) -> bool:
        """Whether we are the child."""
        server = os.getpid()
        settled, settle = os.pipe()
        pid = os.fork()
        if pid:
            # Only a child that leads its own group and dies with us is shown to others.
            os.close(settle)
            os.read(settled, 1)
            os.close(settled)
            self._children.add(pid)
            self._answer(id=request["id"], pid=pid)
            return False
        os.setsid()
        _die_with_parent(server)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._answers.close()
        for descriptor in (self._woken, self._wake, settled, settle):
            os.close(descriptor)
        return True

    def _tell_who_ended(self) -> None:
        for pid in [*self._children]:
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                self._children.discard(pid)
                self._answer(pid=pid, returncode=os.waitstatus_to_exitcode(status))

    def _kill_children(self) -> None:
        for pid in self._children:
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)

    def _answer(self, **answer: int) -> None:
        self._answers.write(json.dumps(answer) + "\n")
        self._answers.flush()


def preload(modules: Sequence[str]) -> None:
    """Import what the children will need. A module that fails will fail in the child, into its own log."""
    for module in modules:
        try:
            importlib.import_module(module)
        except Exception:  # noqa: BLE001  the child says it to those who look for it
            traceback.print_exc()
    gc.collect()
    gc.freeze()  # what is loaded stays out of the collector's hands, and so on pages that are shared


def become(request: dict[str, Any]) -> None:
    """Be the service: own environment, own log, `python -m <module>`."""
    log = os.open(request["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    for descriptor in (1, 2):
        os.dup2(log, descriptor)
    os.close(log)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.environ.clear()
    os.environ.update(request["environment"])
    ctypes.CDLL(None).prctl(_PR_SET_NAME, request["module"].encode())  # the first 15 bytes, for ps and top
    sys.argv[1:] = []
    runpy.run_module(request["module"], run_name="__main__", alter_sys=True)


def _die_with_parent(parent: int) -> None:
    # SIGKILL, because a paused child would not hear anything softer.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def main() -> None:
    """Entry point."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints must not be taken for an answer
    preload(sys.argv[1:])
    request = ForkServer(answers).next_child()
    if request is not None:
        become(request)


if __name__ == "__main__":
    main()
