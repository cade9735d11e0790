"""Acknowledging in batches: the round trip per event is what makes single acks slow."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence

import redis.exceptions

from rediscore.client import RedisConnections
from rediscore.retry import TRANSIENT, Backoff
from rediscore.streams.sources import Source
from rediscore.streams.work import Work

log = logging.getLogger(__name__)

_BATCH = 200
_LINGER = 0.002


class AckBatcher:
    """Collects works that have ended for some 2 ms, then acknowledges up to 200 in one round trip.

    A work that was given to `add` and could not be sent is sent again with backoff; when the process
    dies before, the event is delivered again: consumers know it by its id.

    Args:
        failures_key: hash of failures; the fields of events that had any are removed with the ack.
        acknowledged: told the failure fields of the works whose end Redis has confirmed.
    """

    def __init__(
        self,
        connections: RedisConnections,
        *,
        sources: Sequence[Source],
        group: str,
        failures_key: str,
        acknowledged: Callable[[Iterable[bytes]], None],
    ) -> None:
        self._connections = connections
        self._sources = sources
        self._group = group
        self._failures_key = failures_key
        self._acknowledged = acknowledged
        self._ended: list[tuple[Work, bool]] = []
        self._some = asyncio.Event()
        self._sending = asyncio.Lock()

    def add(self, work: Work, *, noted: bool = False) -> None:
        """Acknowledge this work soon; `noted`: and forget its failures."""
        if work.source is not None or noted:
            self._ended.append((work, noted))
            self._some.set()

    async def run(self) -> None:
        """Send them as they come; ends by cancellation only."""
        backoff = Backoff(0.05, 1.0)
        failed = 0
        while True:
            await self._some.wait()
            await asyncio.sleep(_LINGER if not failed else backoff.delay(failed))
            try:
                await self.flush()
                failed = 0
            except TRANSIENT as error:
                failed += 1
                log.warning(
                    "stream_ack_delayed",
                    extra={"stream": self._sources[0].stream, "error": type(error).__name__},
                )

    async def flush(self) -> None:
        """Send all that is there. One round trip per 200.

        Raises: redis-py's ConnectionError or TimeoutError; what was not confirmed is kept.
        """
        async with self._sending:
            self._some.clear()
            while self._ended:
                batch = self._ended[:_BATCH]
                try:
                    await self._send(batch)
                except TRANSIENT:
                    self._some.set()
                    raise
                except redis.exceptions.ResponseError as error:
                    # The key is no stream any more: there is nothing left to acknowledge.
                    log.warning(
                        "stream_ack_refused", extra={"stream": self._sources[0].stream, "error": str(error)}
                    )
                del self._ended[: len(batch)]
                self._acknowledged(work.failure_field for work, _ in batch)

    async def _send(self, batch: Sequence[tuple[Work, bool]]) -> None:
        ids = {
            source: [work.entry_id for work, _ in batch if work.source is source and work.entry_id]
            for source in self._sources
        }
        cleared = [work.failure_field for work, noted in batch if noted]
        whole, own = self._sources
        if not cleared and not ids[own]:
            await self._connections.commands.xack(whole.stream, self._group, *ids[whole])
            return
        # Both or neither: an entry that is deleted while it is pending counts as pending for ever.
        async with self._connections.commands.pipeline(transaction=bool(ids[own])) as pipeline:
            if ids[whole]:
                pipeline.xack(whole.stream, self._group, *ids[whole])
            if ids[own]:
                pipeline.xack(own.stream, self._group, *ids[own])
                pipeline.xdel(own.stream, *ids[own])
            if cleared:
                pipeline.hdel(self._failures_key, *cleared)
            await pipeline.execute()
