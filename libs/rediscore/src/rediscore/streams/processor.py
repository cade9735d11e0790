"""What happens to one event: handle, try again, or write a dead letter."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from random import Random

from pydantic import ValidationError
from redis.exceptions import RedisError

from rediscore.client import RedisConnections
from rediscore.streams.acks import AckBatcher
from rediscore.streams.dead_letters import FAILURES_KEPT_MS, DeadLetters, places
from rediscore.streams.delivery import sending_again
from rediscore.streams.errors import Postpone, Reject
from rediscore.streams.event import violations
from rediscore.streams.lease import PartitionLease
from rediscore.streams.letters import DeadLetter
from rediscore.streams.metrics import StreamMetrics
from rediscore.streams.policy import Outcome, Reason, RetryPolicy
from rediscore.streams.routes import BatchHandler, Routes
from rediscore.streams.work import Flaw, Work

log = logging.getLogger(__name__)

OnDead = Callable[[DeadLetter], Awaitable[None]]


class Processor:
    """Tries works until each has ended, and acknowledges the end, after a dead letter if need be.

    Args:
        lease: in ordered mode nothing starts and no letter is written without it.
        on_dead: must succeed after the letter is written and before the entry is acknowledged.
    """

    def __init__(
        self,
        *,
        routes: Routes,
        retry: RetryPolicy,
        acks: AckBatcher,
        dead_letters: DeadLetters,
        connections: RedisConnections,
        failures_key: str,
        lease: PartitionLease | None,
        on_dead: OnDead | None,
        metrics: StreamMetrics,
        random: Random | None = None,
    ) -> None:
        self._routes = routes
        self._retry = retry
        self._acks = acks
        self._dead_letters = dead_letters
        self._connections = connections
        self._failures_key = failures_key
        self._lease = lease
        self._on_dead = on_dead
        self._metrics = metrics
        self._random = random

    async def run(self, works: Sequence[Work]) -> None:
        """Try works once (`dispatcher.Runner`).

        Raises: LeaseLost.
        """
        if self._lease is not None and not self._lease.held:
            raise self._lease.lost()
        rest: list[Work] = []
        waiting: set[str] = set()
        for work in works:
            if work.lane in waiting:
                continue
            await self._sort_out(work)
            if work.pause:
                waiting.add(work.lane)
            elif not work.ended:
                rest.append(work)
        if len(rest) == 1 and rest[0].is_sent_again:
            with sending_again():
                await self._handle(rest)
        elif rest:
            await self._handle(rest)

    async def _handle(self, works: Sequence[Work]) -> None:
        if self._routes.batch is not None:
            await self._handle_batch(works, self._routes.batch)
        else:
            await self._handle_one(works[0])

    async def _sort_out(self, work: Work) -> None:
        """End what needs no handler; it gets a pause when that must be tried again."""
        event = work.event
        if work.flaw is None and event is not None:
            if work.reclaims > self._retry.max_reclaims:
                work.flaw = Flaw(Reason.RECLAIM_LIMIT, f"Its reader vanished {work.reclaims} times.")
            elif self._routes.ignores(event.type):
                self._end(work, Outcome.IGNORED)
            elif self._routes.batch is None and self._routes.handler(event.type) is None:
                work.flaw = Flaw(Reason.UNKNOWN_TYPE, f"No handler for type {event.type}.")
        if work.flaw is not None:
            await self._bury(work, work.flaw)

    async def _handle_one(self, work: Work) -> None:
        event = work.event
        handler = self._routes.handler(event.type) if event is not None else None
        if event is None or handler is None:
            raise RuntimeError("Only events with a handler come here.")
        error = await self._outcome_of(handler(event))
        if error is not None:
            await self._failed(work, error)
        else:
            self._end(work, Outcome.HANDLED)

    async def _handle_batch(self, works: Sequence[Work], handler: BatchHandler) -> None:
        events = [work.event for work in works if work.event is not None]
        error = await self._outcome_of(handler(events))
        if error is None:
            for work in works:
                self._end(work, Outcome.HANDLED)
        elif len(works) == 1:
            await self._failed(works[0], error)
        elif isinstance(error, Postpone):
            self._postpone(works, error)
        else:
            # One of them spoils the batch: from here on each is tried by itself.
            for work in works:
                work.alone = True
            self._log_failure("stream_batch_split", works[0], error)

    async def _outcome_of(self, call: Awaitable[None]) -> Exception | None:
        """Run code of the service within its time; returns what went wrong."""
        try:
            async with asyncio.timeout(self._retry.timeout):
                await call
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            # Something that it waited for was cancelled, not we.
            return RuntimeError("The handler ended by a cancellation of its own.")
        except Exception as error:  # noqa: BLE001  task boundary: any failure is counted, logged and ended
            return error
        return None

    async def _failed(self, work: Work, error: Exception) -> None:
        if isinstance(error, Postpone):
            self._postpone([work], error)
            return
        if isinstance(error, Reject):
            work.flaw = Flaw(Reason.REJECTED, str(error), places(error))
        elif isinstance(error, ValidationError):
            work.flaw = Flaw(Reason.INVALID_PAYLOAD, violations(error), places(error))
        else:
            work.failures += 1
            self._metrics.retried()
            self._log_failure("stream_handler_failed", work, error)
            if work.failures < self._retry.max_attempts:
                await self._note_failure(work)
                work.pause = self._delay(work.failures)
                return
            work.flaw = Flaw(Reason.HANDLER_FAILED, f"{type(error).__name__}: {error}", places(error))
        await self._bury(work, work.flaw)

    async def _bury(self, work: Work, flaw: Flaw) -> None:
        letter = self._dead_letters.letter(work, flaw)
        try:
            written = await self._dead_letters.write(letter, work, self._lease)
        except RedisError as error:
            self._bury_later(work, error)
            return
        if written is not None:
            letter = replace(letter, id=written.letter_id)
            self._log_letter(letter, written.displaced)
        if self._on_dead is not None:
            failed = await self._outcome_of(self._on_dead(letter))
            if failed is not None:
                self._bury_later(work, failed)
                return
        self._metrics.dead(letter.reason)
        self._end(work, Outcome.DEAD, noted=True)

    def _bury_later(self, work: Work, error: Exception) -> None:
        work.postponed += 1
        self._log_failure("stream_dead_letter_delayed", work, error)
        work.pause = self._delay(work.postponed)

    def _end(self, work: Work, outcome: Outcome, *, noted: bool = False) -> None:
        noted = noted or work.failures > 0
        self._acks.add(work, noted=noted)
        self._metrics.ended(outcome)
        work.finish(outcome)

    def _postpone(self, works: Sequence[Work], error: Postpone) -> None:
        self._log_failure("stream_event_postponed", works[0], error)
        delay = error.delay or self._delay(works[0].postponed + 1)
        for work in works:
            work.postponed += 1
            work.pause = delay

    async def _note_failure(self, work: Work) -> None:
        """Let the next reader know, should this one vanish. Best effort: losing it costs more attempts."""
        try:
            async with self._connections.commands.pipeline(transaction=False) as pipeline:
                pipeline.hset(self._failures_key, work.failure_field, work.failures)
                pipeline.pexpire(self._failures_key, FAILURES_KEPT_MS)
                await pipeline.execute()
        except RedisError as error:
            self._log_failure("stream_failure_not_noted", work, error)

    def _delay(self, attempt: int) -> float:
        # Never 0, which would mean at once.
        return max(self._retry.backoff.delay(attempt, self._random), 0.001)

    def _log_failure(self, name: str, work: Work, error: Exception) -> None:
        event = work.event
        log.warning(
            name,
            extra={
                "entry_id": work.entry_id.decode() if work.entry_id else None,
                "event_id": event.id if event else None,
                "event_type": event.type if event else None,
                "subject": event.subject if event else None,
                "attempt": work.failures,
                # The class only: messages may quote what people wrote.
                "error": type(error).__name__,
            },
        )

    def _log_letter(self, letter: DeadLetter, displaced: int) -> None:
        log.error(
            "stream_dead_letter",
            extra={
                "stream": letter.stream,
                "group": letter.group,
                "reason": str(letter.reason),
                "attempts": letter.attempts,
                "redrives": letter.redrives,
                "entry_id": letter.original_id,
                "event_id": letter.event.id if letter.event else None,
            },
        )
        if displaced:
            log.error("stream_dead_letters_dropped", extra={"stream": letter.stream, "count": displaced})
