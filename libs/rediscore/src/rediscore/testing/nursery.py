"""Python programs as processes of their own that cost no imports: forked from one that has imported all.

They are real processes, to be stopped and killed like any other; only their start is cheap.
"""

import asyncio
import contextlib
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, NoReturn, Self

_LONGEST = 1 << 16


class Nursery:
    """The process that the others are forked from; leave it (`with`) when they have ended.

    Args:
        modules: what it imports at its start, so that no program does. What reads its environment while it
            is imported is not for this.
    """

    def __init__(self, *modules: str) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._process = subprocess.Popen([sys.executable, "-m", __name__, *modules], stdin=theirs.fileno())  # noqa: S603
        theirs.close()
        self._one_asks = asyncio.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
        self._process.wait(10)

    async def start(
        self,
        program: str | Path,
        *arguments: object,
        env: Mapping[str, str] | None = None,
        out: IO[Any] | None = None,
    ) -> "Forked":
        """Run `python program arguments`, or with a program of the form "-m name" a module.

        Args:
            env: instead of this process's environment.
            out: where stdout and stderr go; without it stdout is a pipe, and stderr ours.
        """
        ended, ends = os.pipe()
        reads, stdin = os.pipe()
        stdout, writes = os.pipe()
        order = json.dumps(
            {"argv": [*map(str, (program, *arguments))], "env": dict(os.environ if env is None else env)}
        )
        outs = [out.fileno()] * 2 if out is not None else [writes, 2]
        async with self._one_asks:
            socket.send_fds(self._socket, [order.encode()], [ends, reads, *outs])
            for given in (ends, reads, writes):
                os.close(given)
            pid = int(await asyncio.to_thread(self._socket.recv, _LONGEST))
        return await Forked._open(pid, ended, stdin, stdout)


class Forked:
    """One of the programs, as far as `asyncio.subprocess.Process` has it."""

    def __init__(
        self, pid: int, ended: asyncio.StreamReader, stdin: asyncio.StreamWriter, stdout: asyncio.StreamReader
    ) -> None:
        self.pid = pid
        self.stdin = stdin
        self.stdout = stdout
        self._end = asyncio.create_task(ended.read())

    @classmethod
    async def _open(cls, pid: int, ended: int, stdin: int, stdout: int) -> Self:
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.connect_write_pipe(
            lambda: asyncio.StreamReaderProtocol(asyncio.StreamReader()), os.fdopen(stdin, "wb")
        )
        writer = asyncio.StreamWriter(transport, protocol, None, loop)
        return cls(pid, await _reader(ended), writer, await _reader(stdout))

    @property
    def returncode(self) -> int | None:
        """The exit code; negative the signal that ended it; None while it runs."""
        return int(self._end.result()) if self._end.done() else None

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            with contextlib.suppress(ProcessLookupError):  # it has just ended
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    async def wait(self) -> int:
        """The exit code, when it has ended."""
        said = await asyncio.shield(self._end)
        self.stdin.close()
        return int(said)

    async def communicate(self, said: bytes = b"") -> tuple[bytes, None]:
        """Send this, close stdin; what it wrote to stdout until its end."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it did not listen
            self.stdin.write(said)
            await self.stdin.drain()
        self.stdin.close()
        heard = await self.stdout.read()
        await self.wait()
        return heard, None


async def _reader(descriptor: int) -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(descriptor, "rb")
    )
    return reader


def _main(modules: list[str]) -> None:
    for module in modules:
        importlib.import_module(module)
    orders = socket.socket(fileno=0)
    wakes, wake = socket.socketpair()
    wakes.setblocking(False)
    wake.setblocking(False)
    signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # ctrl-c ends the tests, and they end us
    ends: dict[int, int] = {}
    with selectors.DefaultSelector() as selector:
        selector.register(orders, selectors.EVENT_READ)
        selector.register(wakes, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is wakes:
                    wakes.recv(4096)
                    _tell_who_ended(ends)
                    continue
                order, given, _, _ = socket.recv_fds(orders, _LONGEST, 4)
                if not order:
                    return
                if (pid := os.fork()) == 0:
                    selector.close()
                    _live(json.loads(order), given[1:], closing=[given[0], *ends.values(), 0])
                ends[pid] = given[0]
                for descriptor in given[1:]:
                    os.close(descriptor)
                orders.send(b"%d" % pid)


def _tell_who_ended(ends: dict[int, int]) -> None:
    for pid in list(ends):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            end = ends.pop(pid)
            with contextlib.suppress(BrokenPipeError):  # nobody waits for it any more
                os.write(end, b"%d" % os.waitstatus_to_exitcode(status))
            os.close(end)


def _live(order: dict[str, Any], given: list[int], closing: list[int]) -> NoReturn:
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for descriptor in closing:
            os.close(descriptor)
        for target, descriptor in enumerate(given):
            os.dup2(descriptor, target)
        for descriptor in given:
            os.close(descriptor)
        os.environ.clear()
        os.environ.update(order["env"])
        program, *arguments = order["argv"]
        sys.path[0:0] = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
        sys.argv = [program, *arguments]
        if program.startswith("-m "):
            runpy.run_module(program.removeprefix("-m "), run_name="__main__", alter_sys=True)
        else:
            sys.path.insert(0, os.path.dirname(program))  # noqa: PTH120  as Python does it
            runpy.run_path(program, run_name="__main__")
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            sys.stderr.write(f"{end.code}\n")
    except BaseException:  # noqa: BLE001  the child ends here whatever happens
        traceback.print_exc()
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    _main(sys.argv[1:])
