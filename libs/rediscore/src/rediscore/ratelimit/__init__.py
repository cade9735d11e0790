"""Rate limiter: sliding window, sliding log and GCRA, several at once, one atomic script per call."""

from rediscore.ratelimit.answer import Quota, RateLimit
from rediscore.ratelimit.errors import CostAboveLimit, RateLimitExceeded
from rediscore.ratelimit.limiter import RateLimiter
from rediscore.ratelimit.strategies import GCRA, SlidingLog, SlidingWindow, Strategy

__all__ = [
    "GCRA",
    "CostAboveLimit",
    "Quota",
    "RateLimit",
    "RateLimitExceeded",
    "RateLimiter",
    "SlidingLog",
    "SlidingWindow",
    "Strategy",
]
