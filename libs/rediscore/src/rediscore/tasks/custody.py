"""What a worker holds: leases are renewed, and what takes too long or is ours no more is cancelled."""

import asyncio
import logging
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from redis.exceptions import RedisError

from rediscore.metrics import Meter
from rediscore.queue import Claim, PriorityQueue
from rediscore.tasks.attempt import Attempt

log = logging.getLogger(__name__)

_RENEWALS_PER_LEASE: Final = 3
_DEAF_SECONDS: Final = 2.0
"""How long a task that is cancelled may take to end before it is given back all the same."""


class Custody:
    """The claims of one worker, running and waiting: one timer for all time-outs, one round trip for all
    leases."""

    def __init__(self, queue: PriorityQueue, lease: timedelta, meter: Meter) -> None:
        self.held: dict[int, Attempt] = {}
        """By the token of the claim."""
        self._queue = queue
        self._pause = lease.total_seconds() / _RENEWALS_PER_LEASE
        self._meter = meter
        self._renew_now = asyncio.Event()
        self._earliest = float("inf")
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, attempt: Attempt, deadline: float) -> None:
        """Cancel this attempt at `deadline` (of the loop's clock) unless it has ended."""
        attempt.deadline = deadline
        if deadline < self._earliest:
            self._set_timer(deadline)

    def renew_soon(self) -> None:
        """Look at once whether all is still ours."""
        self._renew_now.set()

    async def keep(self) -> None:
        """Renew every third of a lease, for ever; cancel what is no longer ours."""
        while True:
            try:
                async with asyncio.timeout(self._pause):
                    await self._renew_now.wait()
            except TimeoutError:
                pass
            self._renew_now.clear()
            try:
                await self._renew()
            except (RedisError, OSError) as error:
                log.warning("task_leases_not_renewed", extra={"error": type(error).__name__})

    async def give_back(self, attempts: Sequence[Attempt]) -> None:
        """Let others have these at once; what cannot be given back comes to them when its lease runs out."""
        claims: list[Claim] = []
        for attempt in attempts:
            attempt.returned = True
            attempt.cancel()
            claims.append(attempt.claim)
            self.held.pop(attempt.claim.token, None)
        if runs := [attempt.running for attempt in attempts if attempt.running is not None]:
            _, deaf = await asyncio.wait(runs, timeout=_DEAF_SECONDS)
            if deaf:
                log.warning("tasks_ignore_cancellation", extra={"tasks": len(deaf)})
        if claims:
            try:
                async with asyncio.timeout(2):
                    await self._queue.release_many(claims)
            except (RedisError, OSError, TimeoutError) as error:
                log.warning("tasks_not_given_back", extra={"error": type(error).__name__})

    def close(self) -> None:
        """Watch nothing more."""
        if self._timer is not None:
            self._timer.cancel()

    async def _renew(self) -> None:
        held = [attempt for attempt in self.held.values() if not attempt.lost]
        kept = await self._queue.extend_many([attempt.claim for attempt in held])
        for attempt, is_held in zip(held, kept, strict=True):
            # What has ended meanwhile may have been acknowledged.
            if not is_held and attempt.claim.token in self.held:
                attempt.lost = True
                self._meter.counts["lease_lost"] += 1
                attempt.cancel()

    def _set_timer(self, deadline: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._earliest = deadline
        self._timer = asyncio.get_running_loop().call_at(deadline, self._time_is_up)

    def _time_is_up(self) -> None:
        now = asyncio.get_running_loop().time()
        earliest = float("inf")
        for attempt in self.held.values():
            if attempt.timed_out:
                continue
            if attempt.deadline <= now:
                attempt.timed_out = True
                attempt.cancel()
            elif attempt.deadline < earliest:
                earliest = attempt.deadline
        self._earliest, self._timer = float("inf"), None
        if earliest < self._earliest:
            self._set_timer(earliest)
