"""A fair share of the partitions of a stream for each replica."""

import asyncio

from rediscore.client import RedisConnections
from rediscore.clock import Clock
from rediscore.scripts import Argument, Script
from rediscore.streams.lease import PartitionLease

_SHARE = Script.load("rediscore.streams.lua", "share.lua")

_LONGEST_INTERVAL = 1.0


class FairShare:
    """How many partitions this replica may read: all of them together exactly as many as there are.

    Each replica says that it is there a few times per `ttl`. Of n partitions and m replicas everybody gets
    n // m, and the first n % m by name one more. A new replica lowers the share of others, who then finish
    what runs, give a partition up and leave it to the new one. It decides who asks for a lease; that one
    alone reads is the lease's doing, so replicas that disagree for a moment do no harm.

    Args:
        held: partitions that this replica reads now, by their keys.
        limit: the share; none before Redis has answered.
    """

    def __init__(
        self,
        connections: RedisConnections,
        key: str,
        *,
        member: str,
        ttl: float,
        partitions: int,
        clock: Clock,
    ) -> None:
        self.held: set[str] = set()
        self.limit = 0
        self._connections = connections
        self._key = key
        self._member = member
        self._ttl_ms = round(ttl * 1000)
        self._interval = min(ttl / 4, _LONGEST_INTERVAL)
        self._partitions = partitions
        self._clock = clock
        self._asked = float("-inf")
        self._asking = asyncio.Lock()
        self._acquiring = asyncio.Lock()
        self._left = False

    async def refresh(self) -> None:
        """Say that we are there, when it is time to. At most one round trip.

        Raises: redis-py's ConnectionError or TimeoutError.
        """
        async with self._asking:
            now = self._clock.monotonic()
            if self._left or now < self._asked + self._interval:
                return
            self.limit = await self._ask(leaving=False)
            self._asked = now

    async def acquire(self, stream: str, lease: PartitionLease) -> float | None:
        """Ask for the lease of a partition as `PartitionLease.acquire` does, if our share allows: else None.
        Two round trips at most. What was acquired is in `held` until the caller takes it out."""
        await self.refresh()
        # One at a time: those that another holds must not keep us from asking for those that are free.
        async with self._acquiring:
            if len(self.held) >= self.limit:
                return None
            wait = await lease.acquire()
            if wait == 0:
                self.held.add(stream)
            return wait

    def surplus(self, stream: str) -> bool:
        """Whether this is one of those to give up. The last by name go first."""
        return stream in sorted(self.held)[self.limit :]

    async def leave(self) -> None:
        """Count no longer, so that the others may take what we leave. One round trip."""
        self._left = True
        await self._ask(leaving=True)

    async def _ask(self, *, leaving: bool) -> int:
        args: list[Argument] = [self._member, self._ttl_ms, int(leaving)]
        reply = await _SHARE(self._connections, keys=[self._key], args=args, idempotent=True)
        replicas, before = int(reply[0]), int(reply[1])
        if not replicas:
            return 0
        share, rest = divmod(self._partitions, replicas)
        return share + (1 if before < rest else 0)
