"""One term of a reader: from the moment it may read until it stops or may no longer."""

import asyncio
import logging
from collections.abc import Coroutine, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random

from redis.exceptions import RedisError

from rediscore.client import RedisConnections
from rediscore.clock import Clock
from rediscore.keys import KeySpace
from rediscore.streams.acks import AckBatcher
from rediscore.streams.dead_letters import DeadLetters
from rediscore.streams.dispatcher import Dispatcher
from rediscore.streams.errors import NotActive
from rediscore.streams.holding import Holding
from rediscore.streams.lease import PartitionLease
from rediscore.streams.metrics import StreamMetrics
from rediscore.streams.partitions import hash_tag
from rediscore.streams.pending import PendingList
from rediscore.streams.policy import RetryPolicy
from rediscore.streams.processor import OnDead, Processor
from rediscore.streams.routes import Routes
from rediscore.streams.sources import Source, sources_of
from rediscore.streams.work import Work, work_from_entry

log = logging.getLogger(__name__)

# Works of subjects that wait for their next attempt do not count as read ahead, up to so many times that.
_WAITING_TOO = 10
_ASK_AGAIN = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderSettings:
    """What a reader of one partition needs; times in seconds."""

    connections: RedisConnections
    keys: KeySpace
    stream: str
    group: str
    consumer: str
    routes: Routes
    retry: RetryPolicy
    on_dead: OnDead | None
    prefetch: int
    concurrency: int
    lease_ttl: float
    block: float
    min_idle: float
    dead_length: int
    clock: Clock
    metrics: StreamMetrics
    random: Random | None = None

    @property
    def sources(self) -> tuple[Source, Source]:
        """The stream, and the group's own one."""
        return sources_of(self.stream, self.group)

    def key(self, what: str) -> str:
        """Name of a key beside the stream, in the stream's cluster slot."""
        return self.keys.key("streams", what, self.group, tag=hash_tag(self.stream))


class Session:
    """Everything that lives as long as one term: works in memory, acks under way, the pending list.

    Args:
        lease: None in competing mode.
    """

    def __init__(self, settings: ReaderSettings, lease: PartitionLease | None) -> None:
        failures_key = settings.key("failures")
        self.lease = lease
        self.known: dict[bytes, Work] = {}
        self._settings = settings
        self.sources = settings.sources
        self.acks = AckBatcher(
            settings.connections,
            sources=self.sources,
            group=settings.group,
            failures_key=failures_key,
            acknowledged=self._forget,
        )
        self.pending = tuple(
            PendingList(
                settings.connections,
                source=source,
                group=settings.group,
                consumer=settings.consumer,
                failures_key=failures_key,
            )
            for source in self.sources
        )
        self.holding = Holding(
            settings.connections,
            sources=self.sources,
            group=settings.group,
            consumer=settings.consumer,
            min_idle=settings.min_idle,
            clock=settings.clock,
        )
        self._processor = Processor(
            routes=settings.routes,
            retry=settings.retry,
            acks=self.acks,
            dead_letters=DeadLetters(
                settings.connections,
                stream=settings.stream,
                group=settings.group,
                failures_key=failures_key,
                clock=settings.clock,
                max_length=settings.dead_length,
            ),
            connections=settings.connections,
            failures_key=failures_key,
            lease=lease,
            on_dead=settings.on_dead,
            metrics=settings.metrics,
            random=settings.random,
        )
        batch = settings.prefetch if settings.routes.batch else 1
        self.dispatcher = Dispatcher(self._run, batch=batch)

    async def room(self) -> int:
        """Wait until it pays to read; returns how many entries there is room for.

        That is when half of the bound is free, or when nothing in memory can run right now.
        """
        half = max(self._settings.prefetch // 2, 1)
        await self.dispatcher.until(lambda: self.free >= half or (self.free > 0 and self.dispatcher.stalled))
        return self.free

    @property
    def free(self) -> int:
        """How many entries there is room for now. What waits behind an event that is tried again takes
        room from nobody, within a bound of its own."""
        bound, dispatcher = self._settings.prefetch, self.dispatcher
        return min(bound - dispatcher.size + dispatcher.parked, bound * _WAITING_TOO - dispatcher.size)

    async def emptied(self) -> None:
        """Wait until nothing is in memory and Redis knows all that has ended."""
        await self.dispatcher.until(lambda: self.dispatcher.size == 0)
        await self.acks.flush()

    def admit(self, works: Sequence[Work], *, asked: float) -> None:
        """Take works in that are not here yet, each into its lane."""
        for work in works:
            work.touched = asked
            if work.entry_id is not None:
                if work.failure_field in self.known:
                    continue
                self.known[work.failure_field] = work
                if self.lease is None:
                    # Competing: no order among entries, not even of one subject.
                    work.lane = work.failure_field.decode()
            self.dispatcher.put(work)

    def admit_entries(
        self, entries: Sequence[tuple[bytes, Sequence[bytes]]], source: Source, *, asked: float
    ) -> None:
        """Take new entries in, as scripts return them; they were asked for at this monotonic time."""
        self.admit([work_from_entry(entry_id, fields, source) for entry_id, fields in entries], asked=asked)

    async def run(
        self,
        reading: Coroutine[None, None, None],
        keeping: Coroutine[None, None, None],
        *,
        stopping: "Stopping",
    ) -> None:
        """Read, handle and acknowledge until told to stop, then finish what runs.

        Args:
            reading: takes entries in; cancelled first.
            keeping: keeps the term alive; goes on until the last handler has ended.

        Raises: the first error of any part; LeaseLost among them.
        """
        try:
            async with asyncio.TaskGroup() as group:
                reader = group.create_task(reading)
                helpers = [group.create_task(keeping), group.create_task(self.acks.run())]
                helpers += [
                    group.create_task(self.dispatcher.worker()) for _ in range(self._settings.concurrency)
                ]
                await stopping.requested.wait()
                reader.cancel()
                await self._finish(stopping.grace)
                await self._give_back()
                for helper in helpers:
                    helper.cancel()
        except BaseExceptionGroup as group_error:
            raise _first(group_error) from None
        finally:
            stream = self._settings.stream
            self.dispatcher.close(NotActive(f"This instance reads {stream} no longer; try where it is read."))
            await self._last_acks()

    async def touch(self) -> None:
        """Keep what is in hand from being taken over, and let go what was taken nevertheless."""
        for work in await self.holding.touch(list(self.known.values())):
            # One that runs is let go when it would begin again.
            if not work.running and work.outcome is None:
                self._drop(work)

    async def _run(self, works: Sequence[Work]) -> None:
        if self.lease is None:
            works = await self._still_held(works)
        for work in works:
            work.running = True
        try:
            if works:
                await self._processor.run(works)
        finally:
            for work in works:
                work.running = False

    async def _still_held(self, works: Sequence[Work]) -> list[Work]:
        """Those that are ours; asks where that is not sure. Without an answer they wait."""
        doubtful = [work for work in works if not work.dropped and not self.holding.surely(work)]
        if doubtful:
            try:
                for work in await self.holding.touch(doubtful):
                    self._drop(work)
            except (RedisError, OSError, TimeoutError):
                for work in doubtful:
                    work.pause = _ASK_AGAIN
        return [work for work in works if not work.dropped and not work.pause]

    def _drop(self, work: Work) -> None:
        work.dropped = True
        self.known.pop(work.failure_field, None)

    def _forget(self, ended: Iterable[bytes]) -> None:
        for entry in ended:
            self.known.pop(entry, None)

    async def _finish(self, grace: float) -> None:
        self.dispatcher.halt()
        try:
            async with asyncio.timeout(grace):
                await self.dispatcher.until(lambda: self.dispatcher.running == 0)
        except TimeoutError:
            log.warning(
                "stream_handlers_cut_off",
                extra={"stream": self._settings.stream, "count": self.dispatcher.running},
            )

    async def _give_back(self) -> None:
        left = [work for work in self.known.values() if not work.ended and not work.running]
        try:
            async with asyncio.timeout(1.0):
                await self.holding.give_back(left, self.lease)
        except (RedisError, OSError, TimeoutError) as error:
            # They stay pending all the same, and count as taken over from a reader that vanished.
            log.warning("stream_entries_not_given_back", extra={"error": type(error).__name__})

    async def _last_acks(self) -> None:
        try:
            async with asyncio.timeout(1.0):
                await self.acks.flush()
        except (RedisError, TimeoutError) as error:
            # They stay pending and are delivered again.
            log.warning("stream_acks_lost", extra={"error": type(error).__name__})


@dataclass(slots=True, eq=False)
class Stopping:
    """The wish to stop, and how long running handlers may take."""

    requested: asyncio.Event = field(default_factory=asyncio.Event)
    grace: float = 10.0
    parts: "set[Stopping]" = field(default_factory=set)

    def request(self, grace: float) -> None:
        """Wish it, for all that is part of it too."""
        self.grace = grace
        self.requested.set()
        for part in self.parts:
            part.request(grace)

    @contextmanager
    def part(self) -> "Iterator[Stopping]":
        """A wish of its own for something that also ends with the whole."""
        part = Stopping(grace=self.grace)
        if self.requested.is_set():
            part.requested.set()
        self.parts.add(part)
        try:
            yield part
        finally:
            self.parts.discard(part)

    async def within(self, seconds: float) -> bool:
        """Wait that long; True at once when stopping is wished."""
        try:
            async with asyncio.timeout(seconds):
                await self.requested.wait()
        except TimeoutError:
            return False
        return True


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
