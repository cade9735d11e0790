"""A primary, a replica and three sentinels as local processes, to fail over."""

import secrets
import time
from pathlib import Path
from typing import Any, Self

from rediscore.embedded import EmbeddedServer, ServerFailedError
from rediscore.settings import RedisSettings

MASTER = "pizza"
_SENTINELS = 3
_QUORUM = 2


class SentinelProcess(EmbeddedServer):
    """The server program as a sentinel. Its configuration, which it changes itself, lies in its folder."""

    def __init__(
        self, directory: Path, *, watches: EmbeddedServer, password: str, down_after_ms: int
    ) -> None:
        super().__init__(directory, password=password)
        self._watches = watches
        self._down_after_ms = down_after_ms

    def _arguments(self) -> list[str]:
        file = self.directory / "sentinel.conf"
        if not file.exists():
            file.touch(mode=0o600)  # it holds passwords
            file.write_text(self._first_configuration())
        return [str(file), "--sentinel"]

    def _first_configuration(self) -> str:
        lines = (
            "bind 127.0.0.1",
            f"port {self.port}",
            f"requirepass {self.password}",
            f'dir "{self.directory.resolve()}"',
            "logfile server.log",
            f"sentinel sentinel-pass {self.password}",
            f"sentinel monitor {MASTER} 127.0.0.1 {self._watches.port} {_QUORUM}",
            f"sentinel auth-pass {MASTER} {self._watches.password}",
            f"sentinel down-after-milliseconds {MASTER} {self._down_after_ms}",
            f"sentinel failover-timeout {MASTER} 4000",
        )
        return "\n".join(lines) + "\n"


class SentinelServers:
    """A primary with one replica, watched by three sentinels. All calls block.

    Args:
        down_after_ms: how long the primary is silent before the sentinels replace it.
    """

    def __init__(self, directory: Path, *, down_after_ms: int = 1500) -> None:
        password = secrets.token_urlsafe(16)
        self._sentinel_password = secrets.token_urlsafe(16)
        options = {"masterauth": password, "repl-diskless-sync-delay": "0"}
        self.servers = [
            EmbeddedServer(directory / name, password=password, options=options) for name in ("one", "two")
        ]
        self.sentinels = [
            SentinelProcess(
                directory / f"sentinel-{number}",
                watches=self.servers[0],
                password=self._sentinel_password,
                down_after_ms=down_after_ms,
            )
            for number in range(_SENTINELS)
        ]

    def settings(self, **more: Any) -> RedisSettings:
        """What a client needs; keyword arguments as of `RedisSettings`."""
        values: dict[str, Any] = {
            "sentinels": ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels),
            "sentinel_master": MASTER,
            "sentinel_password": self._sentinel_password,
            "password": self.servers[0].password,
        }
        return RedisSettings(**values | more)

    def start(self) -> None:
        """Start all, and return when a failover could succeed.

        Raises: ServerFailedError.
        """
        for server in self.servers:
            server.start()
        with self.servers[1].client() as client:
            client.replicaof("127.0.0.1", self.servers[0].port)
        _until(lambda: self._replicates(self.servers[1]), "The replica did not find its primary.")
        for sentinel in self.sentinels:
            sentinel.start()
        self.await_ready()

    def await_ready(self) -> None:
        """Wait until every sentinel knows the others and a live replica of a live primary.

        Raises: ServerFailedError after half a minute.
        """
        _until(lambda: all(map(self._sees_all, self.sentinels)), "The sentinels do not see all servers.")

    @property
    def primary(self) -> EmbeddedServer:
        """The server that the sentinels name now."""
        with self.sentinels[0].client() as client:
            _, port = client.sentinel_get_master_addr_by_name(MASTER)
        return next(server for server in self.servers if server.port == int(port))

    def kill_primary(self) -> EmbeddedServer:
        """Kill it, and return it when the sentinels name another, which takes writes."""
        killed = self.primary
        killed.kill()
        self.await_failover(killed)
        return killed

    def await_failover(self, old: EmbeddedServer) -> None:
        """Wait until the sentinels name another primary than `old` and it takes writes.

        Raises: ServerFailedError after half a minute.
        """
        new = next(server for server in self.servers if server is not old)
        _until(lambda: self.primary is new and _is_primary(new), "The sentinels did not fail over.")

    def heal(self) -> None:
        """Start what is down, as a replica. Returns when a failover could succeed."""
        for server in self.servers:
            if not server.running:
                server.start()
                # The sentinels would do it as well, ten seconds later.
                with server.client() as client:
                    client.replicaof("127.0.0.1", self.primary.port)
        self.await_ready()

    def stop(self) -> None:
        """End all."""
        for process in (*self.sentinels, *self.servers):
            process.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _sees_all(self, sentinel: EmbeddedServer) -> bool:
        with sentinel.client() as client:
            state: dict[str, Any] = client.sentinel_master(MASTER)
            replicas: list[dict[str, Any]] = client.sentinel_slaves(MASTER)
        alive = [
            replica for replica in replicas if not replica["is_sdown"] and not replica["is_disconnected"]
        ]
        return (
            not state["is_sdown"] and state["num-other-sentinels"] == _SENTINELS - 1 and len(alive) == 1
        ) and self._replicates(next(server for server in self.servers if server is not self.primary))

    @staticmethod
    def _replicates(server: EmbeddedServer) -> bool:
        with server.client() as client:
            return bool(client.info("replication").get("master_link_status") == "up")


def _is_primary(server: EmbeddedServer) -> bool:
    with server.client() as client:
        return bool(client.info("replication")["role"] == "master")


def _until(holds: Any, otherwise: str) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        if time.monotonic() > deadline:
            raise ServerFailedError(otherwise)
        time.sleep(0.05)
