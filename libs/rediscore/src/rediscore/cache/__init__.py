"""A cache that stays right when many ask at once, when what it holds changes, and when Redis is away."""

from rediscore.cache.cache import Cache
from rediscore.cache.errors import CacheError, LoadCancelled, LoadTimeout, NotANumber
from rediscore.cache.local import Local

__all__ = ["Cache", "CacheError", "LoadCancelled", "LoadTimeout", "Local", "NotANumber"]
