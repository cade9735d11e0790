"""Prolonging and ending leases."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from rediscore.backoff import Backoff
from rediscore.client import RedisConnections
from rediscore.errors import StaleLease
from rediscore.keys import KeySpace
from rediscore.metrics import Meter
from rediscore.queue.entries import Claim, Done
from rediscore.queue.operations import QueueOperations
from rediscore.queue.wire import at, ends, ms, pairs
from rediscore.scripts import Argument


@dataclass(frozen=True, slots=True)
class LeasePolicy:
    """What a queue does unless a verb says otherwise; see `PriorityQueue`."""

    lease: timedelta
    max_attempts: int
    backoff: Backoff
    result_ttl_ms: int


class QueueLeases(QueueOperations):
    """What the holder of a claim may do. The token decides: who has lost its lease changes nothing."""

    def __init__(
        self,
        connections: RedisConnections,
        name: str,
        *,
        keys: KeySpace,
        limits: tuple[int, int, int],
        now_ms: Callable[[], int] | None,
        policy: LeasePolicy,
        meter: Meter,
    ) -> None:
        super().__init__(connections, name, keys=keys, limits=limits, now_ms=now_ms)
        self._policy = policy
        self._results: tuple[Argument, ...] = (policy.result_ttl_ms, self.results_channel)
        self._meter = meter

    async def extend(self, entry_id: str, token: int, *, lease: timedelta | None = None) -> datetime:
        """Hold the entry for a full lease from now; returns its end.

        Raises: StaleLease when the token is not that of the holder: stop the work.
        """
        (lease_until,) = await self._run("extend", ms(lease or self._policy.lease), entry_id, token)
        self._check(lease_until, entry_id, token)
        return at(lease_until)

    async def extend_many(self, claims: Sequence[Claim], *, lease: timedelta | None = None) -> list[bool]:
        """As `extend`, 1000 in a round trip; False for each that is held no longer."""
        until = (ms(lease or self._policy.lease),)
        return [end > 0 for end in await self._each("extend", until, pairs(claims), width=2)]

    async def ack(self, entry_id: str, token: int) -> None:
        """The entry is done and leaves the queue. Again with the same token: no effect.

        Raises: StaleLease when another holds it, or when the queue does not know it (any more).
        """
        (done,) = await self._run("ack", *self._results, entry_id, token, b"")
        self._check(done, entry_id, token)
        self._meter.counts["acked"] += 1

    async def ack_many(self, done: Sequence[Claim | Done]) -> list[bool]:
        """As `ack`, 1000 in a round trip, with their results in the same step; False for each that is held
        no longer, and its result is not kept."""
        acked = [reply == 1 for reply in await self._each("ack", self._results, ends(done), width=3)]
        self._meter.counts["acked"] += sum(acked)
        return acked

    async def nack(
        self,
        entry_id: str,
        token: int,
        *,
        delay: timedelta | None = None,
        reason: str = "",
        max_attempts: int | None = None,
        result: bytes = b"",
    ) -> bool:
        """The attempt failed: back to its old place after `delay`, or after the backoff of the queue;
        dead with the reason after `max_attempts`. Again with the same token: no effect.

        Args:
            max_attempts: instead of that of the queue; 1 = dead now.
            result: to be kept if it is dead now.

        Returns: whether it will be tried again.
        Raises: StaleLease.
        """
        most = max_attempts or self._policy.max_attempts
        if delay is None:
            pauses = [round(self._policy.backoff.delay(n) * 1000) for n in range(1, min(most, 64) + 1)]
        else:
            pauses = [ms(delay)]
        arguments = (entry_id, token, reason, most, *self._results, result, *pauses)
        reply: int = await self._run("nack", *arguments, results_of=(entry_id, token, result))
        self._check(reply, entry_id, token)
        self._meter.counts["dead" if reply == 2 else "nacked"] += 1
        return reply == 1

    async def release(self, entry_id: str, token: int) -> None:
        """Give the entry back unfinished, e.g. at shutdown: ready at once, no attempt counted.

        Raises: StaleLease.
        """
        (released,) = await self._run("release", entry_id, token)
        self._check(released, entry_id, token)

    async def release_many(self, claims: Sequence[Claim]) -> list[bool]:
        """As `release`, 1000 in a round trip; False for each that is held no longer."""
        return [reply == 1 for reply in await self._each("release", (), pairs(claims), width=2)]

    def _check(self, reply: int, entry_id: str, token: int) -> None:
        if not reply:
            raise StaleLease(f"Token {token} does not hold {entry_id} of {self.name}: stop the work.")
