"""One server, the primary that sentinels name, or those of a cluster: told apart here and nowhere else."""

from collections.abc import Callable
from typing import TypeVar

from redis.asyncio import Redis

from rediscore.settings import RedisSettings
from rediscore.transport.cluster import ClusterTransport
from rediscore.transport.connection import Endpoint
from rediscore.transport.pool import Pool
from rediscore.transport.protocol import Transport
from rediscore.transport.routed import AnyPrimary, RoutedRedis
from rediscore.transport.sentinel import PrimaryBySentinel
from rediscore.transport.topology import Topology

N = TypeVar("N", bound=Transport)


class Servers:
    """Where the settings say that Redis is."""

    def __init__(self, settings: RedisSettings) -> None:
        self._settings = settings
        self._single = PrimaryBySentinel(settings) if settings.sentinels else Endpoint(settings)
        self._topology = Topology(settings) if settings.cluster else None

    def spread(self, make: Callable[[Endpoint], N]) -> N | ClusterTransport[N]:
        """The transport of `make` to the one server, or a router over one to each node of the cluster."""
        if self._topology is None:
            return make(self._single)
        return ClusterTransport(self._settings, self._topology, make)

    def client(self, pools: Pool | ClusterTransport[Pool]) -> Redis:
        """redis-py's client over these pools."""
        if isinstance(pools, ClusterTransport):
            return RoutedRedis(pools, AnyPrimary(pools, self._single))
        return Redis(connection_pool=pools)

    async def endpoints(self) -> list[Endpoint]:
        """Every primary there is now. On a cluster one round trip when its map is in doubt, else no I/O."""
        if self._topology is None:
            return [self._single]
        return [Endpoint(self._settings, address) for address in await self._topology.primaries()]

    async def aclose(self) -> None:
        """End what watches for a new primary."""
        await self._single.aclose()
