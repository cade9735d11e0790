"""Limiters on keys of their own, with a time that the test may hold."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from rediscore.client import RedisConnections
from rediscore.keys import KeySpace
from rediscore.ratelimit import RateLimiter, Strategy

MakeLimiter = Callable[..., RateLimiter]


@dataclass
class Microseconds:
    """What the script takes for the server's time."""

    us: int = 1_800_000_000_000_000

    def __call__(self) -> int:
        return self.us

    def advance(self, seconds: float) -> None:
        self.us += round(seconds * 1e6)


@pytest.fixture
def now() -> Microseconds:
    return Microseconds()


@pytest.fixture
def make_limiter(connections: RedisConnections, key_prefix: str) -> MakeLimiter:
    """Limiters that share their keys: several clients of one limit."""

    def make(*limits: Strategy, through: RedisConnections | None = None, **options: Any) -> RateLimiter:
        # The default gives up after a quarter of a second, which a busy machine may take.
        patient = {"patience": timedelta(seconds=5)} | options
        return RateLimiter(through or connections, "api", *limits, keys=KeySpace(key_prefix), **patient)

    return make
