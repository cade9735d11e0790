"""Pauses that grow. (rediscore's bring the Redis client along, for which start-up has no time.)"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """`initial`, twice that, and so on, at most `maximum` seconds."""

    initial: float
    maximum: float

    def delay(self, failures: int) -> float:
        """Seconds to wait after that many failures in a row, counted from 1."""
        return min(self.maximum, self.initial * 2.0 ** min(failures - 1, 30))
