"""The lease that makes one instance the reader of a partition."""

import secrets

from rediscore.client import RedisConnections
from rediscore.clock import Clock
from rediscore.errors import LeaseLost
from rediscore.scripts import Script

_ACQUIRE = Script.load("rediscore.streams.lua", "lease_acquire.lua")
_RENEW = Script.load("rediscore.streams.lua", "lease_renew.lua")
_RELEASE = Script.load("rediscore.streams.lua", "lease_release.lua")


class PartitionLease:
    """One term as reader: made for one acquisition, never used again.

    Two clocks watch it. Redis lets it run out after `ttl` seconds, so a dead reader is replaced. The
    holder counts from before it asked, so it stops by itself a little before Redis does, even when it
    was paused or cannot reach Redis.
    """

    def __init__(
        self, connections: RedisConnections, key: str, *, owner: str, ttl: float, clock: Clock
    ) -> None:
        self.key = key
        self.token = f"{owner}:{secrets.token_hex(8)}"
        self.ttl = ttl
        self._connections = connections
        self._clock = clock
        self._valid_until = float("-inf")

    @property
    def ttl_ms(self) -> int:
        """The length as the scripts want it."""
        return round(self.ttl * 1000)

    @property
    def held(self) -> bool:
        """Whether it is surely still ours. No round trip."""
        return self._clock.monotonic() < self._valid_until

    @property
    def due(self) -> bool:
        """Whether a third of the term has passed since the last renewal."""
        return self._clock.monotonic() > self._valid_until - self.ttl * 0.6

    async def acquire(self) -> float:
        """Ask for it; returns 0 when it is ours, else the seconds until the holder's may run out.

        One round trip, safe to send twice.
        """
        asked = self._clock.monotonic()
        wait: int = await _ACQUIRE(self._connections, keys=[self.key], args=[self.token, self.ttl_ms])
        if wait == 0:
            self.extended(asked)
        return wait / 1000

    async def renew(self) -> None:
        """Extend it. One round trip.

        Raises: LeaseLost when it ran out, was wiped, or another holds it.
        """
        asked = self._clock.monotonic()
        if not await _RENEW(self._connections, keys=[self.key], args=[self.token, self.ttl_ms]):
            raise self.lost()
        self.extended(asked)

    async def release(self) -> None:
        """Give it back, so that a stand-by takes over at its next poll. One round trip."""
        self._valid_until = float("-inf")
        await _RELEASE(self._connections, keys=[self.key], args=[self.token])

    def extended(self, asked: float) -> None:
        """A script that checks and extends the lease succeeded; it was sent at this monotonic time."""
        self._valid_until = max(self._valid_until, asked + self.ttl * 0.9)

    def lost(self) -> LeaseLost:
        """The error to raise once it is gone."""
        self._valid_until = float("-inf")
        return LeaseLost(
            f"The lease {self.key} is held no longer; the next reader takes over what is pending."
        )
