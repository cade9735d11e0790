"""A real Redis for tests: in a container where an engine answers, else an embedded server."""

import os
import secrets
import socket
from typing import Any, Protocol

import redis

from rediscore.embedded import free_port

IMAGE = "redis:8-alpine"


class ServerUnderTest(Protocol):
    """What every kind of server can do for a test. All calls block."""

    @property
    def url(self) -> str: ...

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def kill(self) -> None: ...

    def restart(self, *, kill: bool = False) -> None: ...

    def wipe(self) -> None: ...


class ContainerServer:
    """Redis in a container, by Testcontainers; append-only like the embedded one, on a fixed port."""

    def __init__(self, image: str = IMAGE) -> None:
        # Imported here: it takes a while, and only those who have an engine need it.
        from testcontainers.community.redis import RedisContainer

        self._password = secrets.token_urlsafe(16)
        self._port = free_port()
        # A fixed port: one that the engine picks would be another one after a restart.
        self._container: Any = (
            RedisContainer(image, password=self._password)
            .with_command(f"redis-server --requirepass {self._password} --appendonly yes --save ''")
            .with_bind_ports(6379, self._port)
        )
        self._made = False

    @property
    def url(self) -> str:
        return f"redis://:{self._password}@127.0.0.1:{self._port}/0"

    def start(self) -> None:
        if self._made:
            self._container.get_wrapped_container().start()
            self._container._wait_strategy.wait_until_ready(self._container)
        else:
            self._container.start()
            self._made = True

    def stop(self) -> None:
        self._container.get_wrapped_container().stop(timeout=5)

    def kill(self) -> None:
        self._container.get_wrapped_container().kill()

    def restart(self, *, kill: bool = False) -> None:
        if kill:
            self.kill()
        else:
            self.stop()
        self.start()

    def wipe(self) -> None:
        with redis.Redis.from_url(self.url, socket_timeout=5) as client:
            client.flushall()
            client.script_flush()

    def remove(self) -> None:
        """Take the container and its data away."""
        self._container.stop()


def engine_answers() -> bool:
    """Whether a container engine is there."""
    import docker  # type: ignore[import-untyped]

    address = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    if address.startswith("unix://") and not _listens(address.removeprefix("unix://")):
        return False  # the client would leave a socket open behind its error
    try:
        engine = docker.from_env(timeout=3)
    except docker.errors.DockerException:
        return False
    try:
        return bool(engine.ping())
    except (docker.errors.DockerException, OSError):
        return False
    finally:
        engine.close()


def _listens(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except OSError:
            return False
        return True


def containers_wanted() -> bool:
    """`REDISCORE_TEST_SERVER` decides (`embedded` or `container`), else whether an engine answers."""
    choice = os.environ.get("REDISCORE_TEST_SERVER", "auto")
    if choice not in ("auto", "embedded", "container"):
        raise ValueError("REDISCORE_TEST_SERVER must be auto, embedded or container.")
    return choice == "container" or (choice == "auto" and engine_answers())
