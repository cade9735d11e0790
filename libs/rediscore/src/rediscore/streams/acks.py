"""Acknowledging in batches: the round trip per event is what makes single acks slow."""

import asyncio
import logging
from collections.abc import Callable, Sequence

import redis.exceptions

from rediscore.client import RedisConnections
from rediscore.retry import TRANSIENT, Backoff

log = logging.getLogger(__name__)

_BATCH = 200
_LINGER = 0.002


class AckBatcher:
    """Collects ids for some 2 ms, then acknowledges up to 200 in one round trip.

    An id that was given to `add` and could not be sent is sent again with backoff; when the process
    dies before, the event is delivered again: consumers know it by its id.

    Args:
        failures_key: hash of failures; the fields of events that had any are removed with the ack.
        acknowledged: told the ids that Redis has confirmed.
    """

    def __init__(
        self,
        connections: RedisConnections,
        *,
        stream: str,
        group: str,
        failures_key: str,
        acknowledged: Callable[[Sequence[bytes]], None],
    ) -> None:
        self._connections = connections
        self._stream = stream
        self._group = group
        self._failures_key = failures_key
        self._acknowledged = acknowledged
        self._ids: list[bytes] = []
        self._cleared: list[bytes] = []
        self._some = asyncio.Event()
        self._sending = asyncio.Lock()

    def add(self, entry_id: bytes | None, *, failure_field: bytes | None = None) -> None:
        """Acknowledge this entry soon, and forget its failures if it had any."""
        if entry_id is not None:
            self._ids.append(entry_id)
        if failure_field is not None:
            self._cleared.append(failure_field)
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
                    "stream_ack_delayed", extra={"stream": self._stream, "error": type(error).__name__}
                )

    async def flush(self) -> None:
        """Send all that is there. One round trip per 200.

        Raises: redis-py's ConnectionError or TimeoutError; what was not confirmed is kept.
        """
        async with self._sending:
            self._some.clear()
            while self._ids or self._cleared:
                ids, cleared = self._ids[:_BATCH], self._cleared[:_BATCH]
                try:
                    await self._send(ids, cleared)
                except TRANSIENT:
                    self._some.set()
                    raise
                except redis.exceptions.ResponseError as error:
                    # The key is no stream any more: there is nothing left to acknowledge.
                    log.warning("stream_ack_refused", extra={"stream": self._stream, "error": str(error)})
                del self._ids[: len(ids)]
                del self._cleared[: len(cleared)]
                self._acknowledged(ids)

    async def _send(self, ids: list[bytes], cleared: list[bytes]) -> None:
        if not cleared:
            await self._connections.commands.xack(self._stream, self._group, *ids)
            return
        async with self._connections.commands.pipeline(transaction=False) as pipeline:
            if ids:
                pipeline.xack(self._stream, self._group, *ids)
            pipeline.hdel(self._failures_key, *cleared)
            await pipeline.execute()
