"""The commands of all tasks over one connection: `transport="multiplexed"`."""

from rediscore.multiplexing.errors import NotMultiplexedError
from rediscore.multiplexing.transport import Multiplexer

__all__ = ["Multiplexer", "NotMultiplexedError"]
