"""How commands get to a server: the seam between `RedisConnections` and what carries a command."""

from rediscore.transport.cluster import ClusterTransport
from rediscore.transport.connection import Endpoint, ServerConnection
from rediscore.transport.pool import Pool
from rediscore.transport.protocol import Transport
from rediscore.transport.servers import Servers

__all__ = ["ClusterTransport", "Endpoint", "Pool", "ServerConnection", "Servers", "Transport"]
