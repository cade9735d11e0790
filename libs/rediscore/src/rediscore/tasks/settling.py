"""How attempts end in the queue."""

import asyncio
import logging
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any, Final

from redis.exceptions import RedisError

from rediscore.errors import StaleLease
from rediscore.metrics import Meter
from rediscore.queue import Claim, Done, PriorityQueue
from rediscore.tasks.message import failure
from rediscore.tasks.options import Retry

log = logging.getLogger(__name__)

OUTAGE_PAUSE: Final = 0.5


class Settling:
    """Good ends are collected: the next claim takes them along, or one round trip brings them all."""

    def __init__(self, queue: PriorityQueue, meter: Meter) -> None:
        self._queue = queue
        self._meter = meter
        self._ended: list[Claim | Done] = []
        self._something = asyncio.Event()

    def end(self, end: Claim | Done) -> None:
        """It is over, with or without a result to keep."""
        self._ended.append(end)
        self._something.set()

    def take(self) -> list[Claim | Done]:
        """What has ended, for a claim that takes it along; `put_back` it when that fails."""
        ended, self._ended = self._ended, []
        self._something.clear()
        return ended

    def put_back(self, ended: list[Claim | Done]) -> None:
        """To be acknowledged after all. Twice does no harm."""
        if ended:
            self._ended += ended
            self._something.set()

    async def retry(self, claim: Claim, retry: Retry, reason: str) -> None:
        """Try again after a pause."""
        pause = timedelta(seconds=retry.backoff.delay(claim.attempt))
        await self._settle(
            self._queue.nack(
                claim.entry_id, claim.token, delay=pause, reason=reason, max_attempts=retry.max_attempts
            )
        )

    async def dead(self, claim: Claim, reason: str) -> None:
        """Give it up."""
        result = failure("dead", reason.partition("\n")[0])
        await self._settle(
            self._queue.nack(claim.entry_id, claim.token, reason=reason, max_attempts=1, result=result)
        )

    async def acknowledge(self) -> None:
        """Acknowledge what has ended while claims wait for new work; for ever."""
        while True:
            await self._something.wait()
            await asyncio.sleep(0)  # a claim that is about to be made takes it along
            if not await self.flush():
                await asyncio.sleep(OUTAGE_PAUSE)

    async def flush(self) -> bool:
        """Acknowledge what has ended. One round trip. False when Redis is away."""
        ended = self.take()
        if not ended:
            return True
        try:
            acked = await self._queue.ack_many(ended)
        except asyncio.CancelledError:
            self.put_back(ended)  # at the end of the worker: the last flush brings them
            raise
        except (RedisError, OSError) as error:
            self.put_back(ended)
            log.warning("tasks_not_acknowledged", extra={"error": type(error).__name__})
            return False
        self._meter.counts["lease_lost"] += acked.count(False)
        return True

    async def _settle(self, verb: Coroutine[Any, Any, object]) -> None:
        try:
            await verb
        except StaleLease:
            self._meter.counts["lease_lost"] += 1
        except (RedisError, OSError) as error:
            # The lease runs out, and the task comes again.
            log.warning("task_failure_not_recorded", extra={"error": type(error).__name__})
