"""A cluster of local processes: a few primaries, no replicas."""

import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

from rediscore.embedded import EmbeddedServer, ServerFailedError, free_port
from rediscore.settings import RedisSettings

_SLOTS = 16_384


class ClusterServers:
    """Local primaries that share the slots evenly. A start takes some four seconds; all calls block."""

    def __init__(self, directory: Path, *, primaries: int = 3) -> None:
        self._directory = directory
        self._count = primaries
        self._password = secrets.token_urlsafe(16)
        self.servers: list[EmbeddedServer] = []

    @property
    def addresses(self) -> str:
        """As `REDIS_CLUSTER_NODES` wants them."""
        return ",".join(f"127.0.0.1:{server.port}" for server in self.servers)

    def settings(self, **more: object) -> RedisSettings:
        """What a client needs; keyword arguments as of `RedisSettings`."""
        return RedisSettings(cluster_nodes=self.addresses, password=self._password, **more)

    def start(self) -> None:
        """Start all, and return when every node says that all slots are served.

        Raises: ServerFailedError.
        """
        for attempt in range(3):
            try:
                self._start(self._directory / str(attempt))
                return
            except ServerFailedError:
                # Somebody else took one of the free ports, most likely that of the bus.
                self.stop()
                if attempt == 2:
                    raise

    def _start(self, directory: Path) -> None:
        buses = [free_port() for _ in range(self._count)]
        self.servers = [
            EmbeddedServer(
                directory / f"node-{number}",
                password=self._password,
                options={"cluster-enabled": "yes", "cluster-port": str(bus), "masterauth": self._password},
            )
            for number, bus in enumerate(buses)
        ]
        for number, server in enumerate(self.servers):
            server.start()
            first = number * _SLOTS // self._count
            last = (number + 1) * _SLOTS // self._count - 1
            self._ask(server, "ADDSLOTSRANGE", first, last)
            # Different from the start, or the nodes would have to settle it among themselves.
            self._ask(server, "SET-CONFIG-EPOCH", number + 1)
        for server, bus in zip(self.servers, buses, strict=True):
            if server is not self.servers[0]:
                self._ask(self.servers[0], "MEET", "127.0.0.1", server.port, bus)
        self._await(lambda: all(self._agrees(server) for server in self.servers))

    def _await(self, agreed: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 30
        while not agreed():
            if time.monotonic() > deadline:
                raise ServerFailedError("The nodes of the cluster did not agree within 30 seconds.")
            time.sleep(0.05)

    def _epoch(self, server: EmbeddedServer) -> str:
        said = bytes(self._ask(server, "INFO")).decode()
        return said.partition("cluster_current_epoch:")[2].split()[0]

    def _agrees(self, server: EmbeddedServer) -> bool:
        said = bytes(self._ask(server, "INFO")).decode()
        return "cluster_state:ok" in said and f"cluster_size:{self._count}" in said

    def move_slot(self, slot: int, to: int) -> None:
        """Give an empty slot to the primary with this number; every node knows it afterwards."""
        new = bytes(self._ask(self.servers[to], "MYID")).decode()
        others = [server for server in self.servers if server is not self.servers[to]]
        # The end of an import gives the new owner the highest epoch that it knows of. Two moves in a row
        # would give two nodes the same one, and gossip about it would undo one of them.
        self._await(lambda: len({self._epoch(server) for server in self.servers}) == 1)
        old = next(node for node in self._nodes() if _serves(node, slot))
        if old[0] != new:
            self._ask(self.servers[to], "SETSLOT", slot, "IMPORTING", old[0])
        # The new owner first: otherwise the old one would, for a moment, send clients in a circle.
        for server in (self.servers[to], *others):
            self._ask(server, "SETSLOT", slot, "NODE", new)

    def _nodes(self) -> list[list[str]]:
        """The words of `CLUSTER NODES`: id, address, ..., and from the ninth on the slots."""
        return [line.split() for line in bytes(self._ask(self.servers[0], "NODES")).decode().splitlines()]

    def _ask(self, server: EmbeddedServer, *command: str | int) -> bytes:
        with server.client() as client:
            client.response_callbacks.clear()
            answer: bytes = client.execute_command("CLUSTER", *command)
            return answer

    def stop(self) -> None:
        """End all."""
        for server in self.servers:
            server.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _serves(node: list[str], slot: int) -> bool:
    ranges = [part.split("-") for part in node[8:] if not part.startswith("[")]
    return any(int(part[0]) <= slot <= int(part[-1]) for part in ranges)
