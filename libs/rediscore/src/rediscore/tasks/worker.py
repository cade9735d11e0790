"""Takes tasks from the queue and runs them."""

import asyncio
import contextlib
import logging
import traceback
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any, Final
from uuid import uuid4

from redis.exceptions import RedisError

from rediscore.errors import StaleLease
from rediscore.queue import Claim, Done
from rediscore.queue.priority_queue import AT_ONCE
from rediscore.tasks.app import Periodic, Tasks
from rediscore.tasks.message import Message, failure, result_of

log = logging.getLogger(__name__)

_WAIT: Final = timedelta(seconds=5)
_OUTAGE_PAUSE: Final = 0.5
_LAST_LINES: Final = 1500


class Worker:
    """Runs up to `concurrency` tasks at once until it is stopped.

    Leases are renewed while tasks run. A task whose lease is gone (cancelled, or this process stood still
    for too long) is cancelled, and neither its result nor its failure counts. What has ended is
    acknowledged together with the next claim, so a busy worker makes one round trip for many tasks.

    Args:
        grace: seconds that running tasks have to end when the worker is stopped; then they are cancelled
            and given back at once.
        name: of this worker, as the pages show it.
    """

    def __init__(
        self,
        tasks: Tasks,
        *,
        concurrency: int = 50,
        grace: timedelta = timedelta(seconds=20),
        name: str | None = None,
    ) -> None:
        if not 1 <= concurrency <= AT_ONCE:
            raise ValueError(f"A worker needs a concurrency of 1 to {AT_ONCE}.")
        self.name = name or f"worker-{uuid4().hex[:8]}"
        self._tasks = tasks
        self._queue = tasks.queue
        self._concurrency = concurrency
        self._grace = grace.total_seconds()
        self._running: dict[asyncio.Task[None], Claim] = {}
        self._ended: list[Claim | Done] = []
        self._change = asyncio.Event()
        self._stopping = asyncio.Event()
        tasks.meter.gauge("running", lambda: len(self._running))

    def stop(self) -> None:
        """Take no more; `run` returns when what runs has ended, or after the grace time."""
        self._stopping.set()
        self._change.set()

    async def run(self) -> None:
        """Work until `stop`. Cancelled, it gives back what it runs."""
        helpers = [
            asyncio.create_task(self._keep_leases(), name="task-leases"),
            asyncio.create_task(self._acknowledge(), name="task-acks"),
            *(asyncio.create_task(self._call_every(periodic)) for periodic in self._tasks.schedule),
        ]
        try:
            await self._take_while_wanted()
            if self._running:
                await asyncio.wait(self._running, timeout=self._grace)
        finally:
            await self._give_back()
            for helper in helpers:
                helper.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)
            await self._flush()

    async def _take_while_wanted(self) -> None:
        while not self._stopping.is_set():
            free = self._concurrency - len(self._running)
            if free == 0:
                self._change.clear()
                await self._change.wait()
                await asyncio.sleep(0)  # those that end in the same turn are replaced together
                continue
            try:
                claims = await self._next(free)
            except (RedisError, OSError) as error:
                log.warning("tasks_not_claimed", extra={"error": type(error).__name__})
                await self._pause(_OUTAGE_PAUSE)
                continue
            for claim in claims:
                self._start(claim)
            await asyncio.sleep(0)

    async def _next(self, free: int) -> list[Claim]:
        """Claims for the free places, waiting for the first; none when told to stop."""
        ended, self._ended = self._ended, []
        if ended:
            # What has ended must not wait for new work.
            try:
                claims = await self._queue.claim_many(self.name, free, done=ended)
            except (RedisError, OSError):
                self._ended += ended
                raise
            if claims:
                return claims
        taking = asyncio.create_task(self._queue.claim_many(self.name, free, wait=_WAIT))
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait({taking, stopping}, return_when=asyncio.FIRST_COMPLETED)
            return taking.result() if taking.done() else []
        finally:
            # Claims that arrive while it is cancelled are given back.
            taking.cancel()
            stopping.cancel()
            await asyncio.wait({taking, stopping})

    def _start(self, claim: Claim) -> None:
        running = asyncio.create_task(self._run(claim))
        self._running[running] = claim
        running.add_done_callback(self._ended_running)

    def _ended_running(self, running: asyncio.Task[None]) -> None:
        self._running.pop(running, None)
        if not running.cancelled() and (error := running.exception()) is not None:
            log.error("task_not_ended", exc_info=error)  # its lease runs out, and it comes again
        self._change.set()

    async def _run(self, claim: Claim) -> None:
        """One attempt, to its end in the queue."""
        counts = self._tasks.meter.counts
        try:
            message = Message.decode(claim.payload)
        except ValueError as error:
            await self._dead(claim, f"Unreadable: {error}")
            return
        task = self._tasks.registered.get(message.task)
        if task is None:
            await self._dead(claim, f"No task {message.task!r} is known to this worker.")
            return
        if message.expires_at is not None and self._tasks.clock.now() >= message.expires_at:
            counts["expired"] += 1
            self._end(Done(claim, failure("expired", f"Not taken before {message.expires_at.isoformat()}.")))
            return
        retry = task.policy.retry
        try:
            async with asyncio.timeout(task.policy.timeout.total_seconds()):
                if task.is_async:
                    value = await task.validated(*message.args, **message.kwargs)
                else:
                    value = await asyncio.to_thread(task.validated, *message.args, **message.kwargs)
            result = result_of(value) if task.policy.keep_result else None
        except Exception as error:  # noqa: BLE001  whatever a task raises is kept as its reason
            counts["failed"] += 1
            reason = _reason(error)
            if isinstance(error, retry.on) and claim.attempt < retry.max_attempts:
                pause = timedelta(seconds=retry.backoff.delay(claim.attempt))
                await self._settle(
                    self._queue.nack(
                        claim.entry_id,
                        claim.token,
                        delay=pause,
                        reason=reason,
                        max_attempts=retry.max_attempts,
                    )
                )
            else:
                await self._dead(claim, reason)
            return
        counts["succeeded"] += 1
        self._end(claim if result is None else Done(claim, result))

    def _end(self, end: Claim | Done) -> None:
        self._ended.append(end)
        self._change.set()

    async def _dead(self, claim: Claim, reason: str) -> None:
        self._tasks.meter.counts["dead"] += 1
        result = failure("dead", reason.splitlines()[0] if reason else "")
        await self._settle(
            self._queue.nack(claim.entry_id, claim.token, reason=reason, max_attempts=1, result=result)
        )

    async def _settle(self, verb: Coroutine[Any, Any, object]) -> None:
        try:
            await verb
        except StaleLease:
            self._tasks.meter.counts["lease_lost"] += 1
        except (RedisError, OSError) as error:
            # The lease runs out, and the task comes again.
            log.warning("task_failure_not_recorded", extra={"error": type(error).__name__})

    async def _acknowledge(self) -> None:
        """Acknowledge what has ended while the claims wait for new work."""
        while True:
            if not self._ended:
                self._change.clear()
                await self._change.wait()
            await asyncio.sleep(0)  # a claim that is about to be made takes them along
            await self._flush()

    async def _flush(self) -> None:
        ended, self._ended = self._ended, []
        if not ended:
            return
        try:
            acked = await self._queue.ack_many(ended)
        except (RedisError, OSError) as error:
            self._ended += ended  # safe to send again
            log.warning("tasks_not_acknowledged", extra={"error": type(error).__name__})
            await self._pause(_OUTAGE_PAUSE)
            return
        self._tasks.meter.counts["lease_lost"] += acked.count(False)

    async def _keep_leases(self) -> None:
        """Renew every third of a lease; cancel what is no longer ours."""
        while True:
            await asyncio.sleep(self._tasks.lease.total_seconds() / 3)
            held = dict(self._running)
            try:
                kept = await self._queue.extend_many(list(held.values()))
            except (RedisError, OSError) as error:
                log.warning("task_leases_not_renewed", extra={"error": type(error).__name__})
                continue
            for (running, _), is_held in zip(held.items(), kept, strict=True):
                if not is_held and running in self._running:
                    self._tasks.meter.counts["lease_lost"] += 1
                    running.cancel()

    async def _give_back(self) -> None:
        """Cancel what still runs, and let others have it at once."""
        left = dict(self._running)
        for running in left:
            running.cancel()
        if left:
            await asyncio.wait(left)
            with contextlib.suppress(RedisError, OSError, TimeoutError):
                async with asyncio.timeout(2):
                    await self._queue.release_many(list(left.values()))

    async def _call_every(self, periodic: Periodic) -> None:
        """Put in the call of each period; its id is the period's, so many workers put in one."""
        every = periodic.every.total_seconds()
        while True:
            now = self._tasks.clock.now().timestamp()
            period = int(now // every)
            try:
                await periodic.task.apply_async(task_id=f"{periodic.task.name}@{period}")
            except (RedisError, OSError) as error:
                log.warning("task_not_scheduled", extra={"error": type(error).__name__})
                await self._tasks.clock.sleep(_OUTAGE_PAUSE)
                continue
            await self._tasks.clock.sleep((period + 1) * every - now)

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()


def _reason(error: BaseException) -> str:
    """The error in one line, then where it came from."""
    told = str(error)
    first = f"{type(error).__name__}: {told}" if told else type(error).__name__
    return first + "\n" + "".join(traceback.format_exception(error))[-_LAST_LINES:]
