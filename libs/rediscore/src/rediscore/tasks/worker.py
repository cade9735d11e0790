"""Takes tasks from the queue and runs them."""

import asyncio
import contextlib
import contextvars
import logging
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final
from uuid import uuid4

from redis.exceptions import RedisError

from rediscore.queue import Claim, Done
from rediscore.queue.priority_queue import AT_ONCE
from rediscore.tasks.app import Tasks
from rediscore.tasks.attempt import Attempt, enter, reason_of, unpack
from rediscore.tasks.custody import Custody
from rediscore.tasks.message import failure, result_of
from rediscore.tasks.periodic import call_on_time
from rediscore.tasks.presence import Ends, Outcome, tell, this_process
from rediscore.tasks.settling import OUTAGE_PAUSE, Settling
from rediscore.tasks.task import Task

log = logging.getLogger(__name__)

_WAIT: Final = timedelta(seconds=5)
_MOST_THREADS: Final = 32


class Worker:
    """Runs up to `concurrency` tasks at once until it is stopped.

    Leases are renewed while tasks run. A task whose lease is gone (cancelled, or this process stood still
    for too long) is cancelled, and neither its result nor its failure counts. What has ended is
    acknowledged together with the next claim, so a busy worker makes one round trip for many tasks.

    Args:
        concurrency: coroutine functions at once.
        prefetch: calls that it takes beyond that, so that the next is at hand when one ends. They are
            out of reach for other workers, and better ones that come later wait for them; given back at
            once when it stops.
        threads: plain functions at once, each in a thread; those beyond wait for one, within their
            time-out. 32 or `concurrency` unless given, whichever is less.
        grace: seconds that running tasks have to end when the worker is stopped; then they are cancelled
            and given back at once.
        name: of this worker, as the pages show it.
    """

    def __init__(
        self,
        tasks: Tasks,
        *,
        concurrency: int = 50,
        prefetch: int = 0,
        threads: int | None = None,
        grace: timedelta = timedelta(seconds=20),
        name: str | None = None,
    ) -> None:
        if concurrency < 1 or prefetch < 0 or concurrency + prefetch > AT_ONCE:
            raise ValueError(f"A worker needs concurrency >= 1, prefetch >= 0, together at most {AT_ONCE}.")
        if threads is not None and threads < 1:
            raise ValueError("A worker needs threads >= 1.")
        self.name = name or f"worker-{uuid4().hex[:8]}"
        self._tasks = tasks
        self._queue = tasks.queue
        self._concurrency = concurrency
        self._prefetch = prefetch
        self._grace = grace.total_seconds()
        self._threads = ThreadPoolExecutor(threads or min(concurrency, _MOST_THREADS), "task")
        self._meter = tasks.meter
        self._custody = Custody(tasks.queue, tasks.lease, tasks.meter)
        self._settling = Settling(tasks.queue, tasks.meter)
        self._ends = Ends(self.name)
        self._started = time.time()
        self._running: set[Attempt] = set()
        self._waiting: deque[Attempt] = deque()
        self._change = asyncio.Event()
        self._stopping = asyncio.Event()
        self._broken: BaseException | None = None
        self.trouble = ""
        """Why it cannot work at the moment: Redis is away; empty when it can. Known within some seconds."""
        tasks.meter.gauge("running", lambda: len(self._running))

    def stop(self) -> None:
        """Take no more; `run` returns when what runs has ended, or after the grace time."""
        self._stopping.set()
        self._change.set()

    async def run(self) -> None:
        """Work until `stop`. Cancelled, it gives back what it runs."""
        self._loop = asyncio.get_running_loop()
        helpers = [
            asyncio.create_task(self._custody.keep(), name="task-leases"),
            asyncio.create_task(self._settling.acknowledge(), name="task-acks"),
            asyncio.create_task(self._hear_cancellations(), name="task-cancellations"),
            asyncio.create_task(
                tell(self._tasks.presence, self.name, self._words, self._ends, self._heard), name="task-beats"
            ),
            *(
                asyncio.create_task(call_on_time(self._tasks, periodic), name="task-schedule")
                for periodic in self._tasks.schedule
            ),
        ]
        for helper in helpers:
            helper.add_done_callback(self._helper_ended)
        try:
            await self._take_while_wanted()
            await self._give_back(list(self._waiting))
            if self._running:
                running = [attempt.running for attempt in self._running if attempt.running is not None]
                await asyncio.wait(running, timeout=self._grace)
        finally:
            await self._give_back([*self._waiting, *self._running])
            while left := [helper for helper in helpers if not helper.done()]:
                for helper in left:  # one cancellation may get lost in a library on Python 3.11
                    helper.cancel()
                await asyncio.wait(left, timeout=1)
            await self._settling.flush()
            self._custody.close()
            self._threads.shutdown(wait=False, cancel_futures=True)
        if self._broken is not None:
            raise self._broken

    def _helper_ended(self, helper: asyncio.Task[None]) -> None:
        # They go on for ever, so this is a bug: better no worker than half a one.
        if not helper.cancelled() and (error := helper.exception()) is not None:
            self._broken = error
            self.stop()

    def _heard(self, trouble: str) -> None:
        self.trouble = trouble

    async def _take_while_wanted(self) -> None:
        while not self._stopping.is_set():
            wanted = self._concurrency + self._prefetch - len(self._running) - len(self._waiting)
            if len(self._running) == self._concurrency and wanted <= self._prefetch // 2:
                self._change.clear()
                await self._change.wait()
                await asyncio.sleep(0)  # those that end in the same turn are replaced together
                continue
            try:
                claims = await self._next(wanted)
            except (RedisError, OSError) as error:
                log.warning("tasks_not_claimed", extra={"error": type(error).__name__})
                await self._pause(OUTAGE_PAUSE)
                continue
            for claim in claims:
                attempt = self._custody.held[claim.token] = Attempt(claim)
                self._waiting.append(attempt)
            self._start_next()
            await asyncio.sleep(0)

    async def _next(self, wanted: int) -> list[Claim]:
        """Claims for the free places, waiting for the first; none when told to stop."""
        # What has ended must not wait for new work.
        if ended := self._settling.take():
            try:
                claims = await self._queue.claim_many(self.name, wanted, done=ended)
            except (RedisError, OSError, asyncio.CancelledError):
                self._settling.put_back(ended)
                raise
            if claims:
                return claims
        taking = asyncio.create_task(self._queue.claim_many(self.name, wanted, wait=_WAIT))
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait({taking, stopping}, return_when=asyncio.FIRST_COMPLETED)
            return taking.result() if taking.done() else []
        finally:
            # Claims that arrive while it is cancelled are given back.
            taking.cancel()
            stopping.cancel()
            await asyncio.wait({taking, stopping})

    def _start_next(self) -> None:
        while self._waiting and len(self._running) < self._concurrency:
            attempt = self._waiting.popleft()
            if attempt.lost:
                self._custody.held.pop(attempt.claim.token, None)
                continue
            self._running.add(attempt)
            attempt.running = self._loop.create_task(self._run(attempt))

    async def _run(self, attempt: Attempt) -> None:
        """One attempt, to its end in the queue."""
        try:
            if not (attempt.lost or attempt.returned):
                attempt.began = self._loop.time()
                await self._attempt(attempt)
        except Exception:
            log.exception("task_not_ended")  # its lease runs out, and it comes again
        finally:
            self._running.discard(attempt)
            self._custody.held.pop(attempt.claim.token, None)
            if self._waiting and not self._stopping.is_set():
                self._start_next()
            self._change.set()

    async def _attempt(self, attempt: Attempt) -> None:
        claim = attempt.claim
        try:
            name, args, kwargs, expires = unpack(claim.payload)
        except ValueError as error:
            await self._dead(attempt, "", f"Unreadable: {error}")
            return
        task = self._tasks.registered.get(name)
        if task is None:
            await self._dead(attempt, name, f"No task {name!r} is known to this worker.")
            return
        if expires is not None and self._tasks.clock.now().timestamp() >= expires:
            reason = f"Not taken before {datetime.fromtimestamp(expires, UTC).isoformat()}."
            self._settling.end(Done(claim, failure("expired", reason)))
            self._ended(attempt, task.name, "expired", reason)
            return
        attempt.task = task
        enter(attempt)
        self._custody.watch(attempt, attempt.began + task.timeout_seconds)
        try:
            if task.is_async:
                value = await task.call(*args, **kwargs)
            else:
                value = await self._in_thread(task, args, kwargs)
            result = result_of(value) if task.policy.keep_result else None
        except (Exception, SystemExit, asyncio.CancelledError) as error:  # noqa: BLE001  kept as its reason
            await self._failed(attempt, task, error)
            return
        if attempt.lost:
            self._ended(attempt, task.name, "cancelled", "")
            return
        self._settling.end(claim if result is None else Done(claim, result))
        self._ended(attempt, task.name, "succeeded", "")

    async def _in_thread(self, task: Task[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        context = contextvars.copy_context()
        call = partial(context.run, task.call, *args, **kwargs)
        return await self._loop.run_in_executor(self._threads, call)

    async def _failed(self, attempt: Attempt, task: Task[..., Any], error: BaseException) -> None:
        if attempt.lost:
            self._ended(attempt, task.name, "cancelled", "")
            return
        if attempt.returned:
            return
        if attempt.timed_out:
            late = TimeoutError(f"It took longer than {task.timeout_seconds:g} s.")
            late.__cause__ = error
            error = late
        reason = reason_of(error)
        retry = task.policy.retry
        if isinstance(error, retry.on) and attempt.claim.attempt < retry.max_attempts:
            self._ended(attempt, task.name, "failed", reason)
            await self._settling.retry(attempt.claim, retry, reason)
        else:
            await self._dead(attempt, task.name, reason)

    async def _dead(self, attempt: Attempt, name: str, reason: str) -> None:
        self._ended(attempt, name, "dead", reason)
        await self._settling.dead(attempt.claim, reason)

    def _ended(self, attempt: Attempt, name: str, outcome: Outcome, reason: str) -> None:
        seconds = self._loop.time() - attempt.began
        self._meter.counts[outcome] += 1
        task = attempt.task
        if task is not None:
            task.meter.counts[outcome] += 1
            task.meter.timings["run"].observe(seconds)
        claim = attempt.claim
        self._ends.add(claim.entry_id, name, outcome, seconds, claim.attempt, reason.partition("\n")[0])

    async def _give_back(self, attempts: Sequence[Attempt]) -> None:
        self._waiting.clear()
        await self._custody.give_back(attempts)

    async def _hear_cancellations(self) -> None:
        # A hint only: leases say what is ours.
        async with aclosing(self._tasks.channels.listen(self._tasks.cancellations)) as hints:
            async for _ in hints:
                self._custody.renew_soon()

    def _words(self) -> dict[str, Any]:
        """What this worker says of itself."""
        now, clock = time.time(), self._loop.time()
        return this_process() | {
            "started_ms": int(self._started * 1000),
            "concurrency": self._concurrency,
            "running": {
                attempt.claim.entry_id: int((now - clock + attempt.began) * 1000)
                for attempt in self._running
                if attempt.began
            },
            "counts": dict(self._meter.counts),
        }

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
