"""Remember: read through the cache, with one read and one computation per key in this process."""

import asyncio
import logging
from typing import Final, Generic, TypeVar

from rediscore.cache.errors import LoadCancelled
from rediscore.cache.flight import Flight, SharedRead, moment
from rediscore.cache.loading import Load, Loader
from rediscore.cache.policy import Policy
from rediscore.cache.reading import AWAY, Away, Reader, Seen
from rediscore.metrics import Meter

log = logging.getLogger(__name__)

T = TypeVar("T")

_CLOSE_SECONDS: Final = 5.0


class Flights(Generic[T]):
    """The reads and computations of one cache that are under way in this process.

    Whoever asks while one is under way waits for it, and takes what it gives only if that is sure to be
    no older than the question: a read that was sent before is sent again, for all who wait. A computation
    that began before counts if the question was there when it was stored, because what is outdated by
    then is not stored; else there is another, for all who wait. So nobody waits for more than two of them.
    """

    def __init__(
        self,
        reader: Reader[T],
        loader: Loader[T],
        policy: Policy,
        *,
        meter: Meter,
        name: str,
    ) -> None:
        self._reader = reader
        self._loader = loader
        self._policy = policy
        self._counts = meter.counts
        self._name = name
        self._reads: dict[str, SharedRead[Seen[T] | bytes | Away | None]] = {}
        self._flights: dict[str, Flight[T]] = {}
        self._tasks: set[asyncio.Task[T]] = set()

    async def remember(self, load: Load[T]) -> T:
        """The cached value, or the one that is computed. See `Cache.remember`."""
        asked = moment()
        key = load.key
        while True:
            seen = await self._read(key, asked)
            stale: Seen[T] | None = None
            if isinstance(seen, Seen):
                if seen.fresh:
                    self._counts["hit"] += 1
                    if seen.due and not seen.busy and key not in self._flights:
                        self._refresh(load)
                    return seen.value
                stale = seen
                if seen.busy:
                    self._counts["stale"] += 1
                    return seen.value
            elif isinstance(seen, bytes):
                load.bad = seen
            elif seen is AWAY:
                load.away = True
                if (kept := self._reader.last_good(key)) is not None:
                    self._counts["stale"] += 1
                    return kept[0]
            flight = self._flights.get(key)
            if flight is None:
                self._counts["miss"] += 1
                flight = self._start(load)
            value, certain = await self._wait(flight, key, stale)
            if certain or flight.began > asked:
                return value

    def detach(self, key: str) -> None:
        """The key was changed on purpose: who asks from now on does not wait for what began before."""
        self._flights.pop(key, None)

    def detach_all(self) -> None:
        """All keys were."""
        self._flights.clear()

    async def aclose(self) -> None:
        """Cancel every computation, and wait for their ends."""
        self.detach_all()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_CLOSE_SECONDS)

    async def _read(self, key: str, asked: int) -> Seen[T] | bytes | Away | None:
        while (under_way := self._reads.get(key)) is not None:
            told = await under_way.join()
            if told is not None and (under_way.began > asked or told[0] is AWAY):
                return told[0]
        read = self._reads[key] = SharedRead()
        told = None
        try:
            told = (await self._reader.look(key),)
        finally:
            del self._reads[key]
            read.end(told)
        return told[0]

    def _start(self, load: Load[T]) -> Flight[T]:
        flight: Flight[T] = Flight()
        key = load.key

        def ended(task: asyncio.Task[T]) -> None:
            self._tasks.discard(task)
            if self._flights.get(key) is flight:
                del self._flights[key]
            if not task.cancelled() and (error := task.exception()) is not None and not flight.waiting:
                log.warning("cache_refresh_failed", extra={"cache": self._name, "error": repr(error)})

        flight.task = asyncio.create_task(self._loader.run(flight, load), name=f"cache-load-{self._name}")
        flight.task.add_done_callback(ended)
        self._tasks.add(flight.task)
        self._flights[key] = flight
        return flight

    def _refresh(self, load: Load[T]) -> None:
        """Ahead of the end, in the background."""
        assert self._policy.early is not None  # noqa: S101  else nothing is due
        load.early = self._policy.early
        self._start(load).kept = True

    async def _wait(self, flight: Flight[T], key: str, stale: Seen[T] | None) -> tuple[T, bool]:
        """The value, and whether it is surely no older than the question."""
        flight.waiting += 1
        try:
            await asyncio.wait({flight.task}, timeout=self._policy.soft if stale is not None else None)
            if not flight.task.done() and stale is not None:
                flight.kept = True
                self._counts["stale"] += 1
                return stale.value, True
            if flight.task.cancelled():
                raise LoadCancelled("The computation was cancelled from outside; ask again.")
            error = flight.task.exception()
            if error is None:
                return flight.task.result(), False
            if not isinstance(error, Exception):
                raise error
            kept = (stale.value,) if stale is not None else self._reader.last_good(key)
            if kept is None:
                raise error
            self._counts["stale"] += 1
            log.warning("cache_serves_stale", extra={"cache": self._name, "error": repr(error)})
            return kept[0], True
        finally:
            flight.waiting -= 1
            if not flight.waiting and not flight.kept and not flight.task.done():
                # Nobody wants it any more. Who asks from now on begins anew.
                if self._flights.get(key) is flight:
                    del self._flights[key]
                flight.task.cancel()
