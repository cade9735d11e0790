"""Connections over one shared connection, directly and through the proxy."""

from collections.abc import AsyncIterator

import pytest
from rediscore.client import RedisConnections
from rediscore.settings import RedisSettings
from rediscore.testing import FaultProxy, patient_settings


@pytest.fixture
async def shared(redis_url: str, key_prefix: str) -> AsyncIterator[RedisConnections]:
    """Multiplexed; its connection carries the key prefix as its name."""
    made = RedisConnections(patient_settings(redis_url, transport="multiplexed", client_name=key_prefix))
    yield made
    await made.aclose()


@pytest.fixture
async def flaky(redis_url: str, key_prefix: str, fault_proxy: FaultProxy) -> AsyncIterator[RedisConnections]:
    """Multiplexed, through the proxy, connected, and patient for half a second."""
    made = RedisConnections(
        RedisSettings.from_url(
            fault_proxy.url(redis_url), transport="multiplexed", socket_timeout=0.5, client_name=key_prefix
        )
    )
    await made.execute("PING", idempotent=True)
    yield made
    fault_proxy.resume()
    await made.aclose()
