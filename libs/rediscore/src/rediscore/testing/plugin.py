"""Fixtures for tests that need Redis. Load with `pytest_plugins = ["rediscore.testing.plugin"]` in the
topmost conftest.py.

Each pytest process (each xdist worker) starts one server and keeps it for the session. Tests keep
apart by `key_prefix`; a test that stops or wipes its server takes `disposable_server`.
"""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio

from rediscore.client import RedisConnections
from rediscore.embedded import EmbeddedServer
from rediscore.settings import RedisSettings
from rediscore.testing.cluster import ClusterServers
from rediscore.testing.groups import note_last_of_group
from rediscore.testing.patience import patient_settings
from rediscore.testing.proxy import FaultProxy
from rediscore.testing.sentinel import SentinelServers
from rediscore.testing.server import ContainerServer, ServerUnderTest, containers_wanted


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    note_last_of_group(item, nextitem)


@pytest.fixture(scope="session")
def containers() -> bool:
    """Whether servers run in containers here."""
    return containers_wanted()


def _server(container: bool, directory: Path) -> Iterator[ServerUnderTest]:
    if container:
        contained = ContainerServer()
        try:
            contained.start()
            yield contained
        finally:
            contained.remove()
    else:
        with EmbeddedServer(directory) as embedded:
            yield embedded


@pytest.fixture(scope="session")
def redis_server(containers: bool, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerUnderTest]:
    """The server of this session; shared, so leave it running and do not wipe it."""
    yield from _server(containers, tmp_path_factory.mktemp("redis"))


@pytest.fixture
def disposable_server(containers: bool, tmp_path: Path) -> Iterator[ServerUnderTest]:
    """A server of this test's own, to stop, kill and wipe."""
    yield from _server(containers, tmp_path / "redis")


@pytest.fixture
def redis_url(redis_server: ServerUnderTest) -> str:
    """Address of the session's server, with password."""
    return redis_server.url


@pytest.fixture
def key_prefix() -> str:
    """A key prefix that no other test has."""
    return f"test-{uuid4().hex[:12]}"


@pytest_asyncio.fixture
async def connections(redis_url: str, key_prefix: str) -> AsyncIterator[RedisConnections]:
    """Connections to the session's server. At the end of the test the keys of `key_prefix` are deleted."""
    made = RedisConnections(patient_settings(redis_url))
    yield made
    if left := [key async for key in made.scan_keys(f"{key_prefix}*")]:
        await made.execute("UNLINK", *left)
    await made.aclose()


@pytest_asyncio.fixture
async def fault_proxy(redis_url: str) -> AsyncIterator[FaultProxy]:
    """A proxy in front of the session's server."""
    settings = patient_settings(redis_url)
    async with FaultProxy(settings.host, settings.port) as proxy:
        yield proxy


@pytest_asyncio.fixture
async def through_proxy(redis_url: str, fault_proxy: FaultProxy) -> AsyncIterator[RedisConnections]:
    """Connections that lead through the proxy, opened already; patient for a second with each command."""
    made = RedisConnections(RedisSettings.from_url(fault_proxy.url(redis_url), socket_timeout=1))
    await made.ping()
    yield made
    await made.aclose()


@pytest.fixture(scope="session")
def cluster_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterServers]:
    """A cluster of three primaries, local processes; shared, so leave it running and do not wipe it.

    Mark tests that use it `@pytest.mark.xdist_group("cluster")`: then it starts once.
    """
    with ClusterServers(tmp_path_factory.mktemp("cluster")) as servers:
        yield servers


@pytest.fixture(scope="session")
def cluster_settings(cluster_servers: ClusterServers) -> RedisSettings:
    """Settings that lead to the cluster."""
    return cluster_servers.settings()


@pytest_asyncio.fixture
async def cluster_connections(cluster_settings: RedisSettings) -> AsyncIterator[RedisConnections]:
    """Connections to the cluster, closed at the end of the test."""
    made = RedisConnections(cluster_settings)
    yield made
    await made.aclose()


@pytest.fixture(scope="session")
def sentinel_set(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SentinelServers]:
    """A primary, a replica and three sentinels, local processes.

    A test may kill the primary; `heal()` before the end. Mark tests that use it
    `@pytest.mark.xdist_group("sentinel")`: then it starts once.
    """
    with SentinelServers(tmp_path_factory.mktemp("sentinel")) as servers:
        yield servers
