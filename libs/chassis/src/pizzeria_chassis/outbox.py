"""The relay: gives committed events their place in history and adds them to the stream."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import structlog
from rediscore.client import RedisConnections
from rediscore.retry import Backoff
from rediscore.streams import read_groups
from rediscore.streams.event import CloudEvent, RawEvent
from rediscore.streams.partitions import partition_of, stream_names
from rediscore.streams.publisher import StreamPublisher
from sqlalchemy import bindparam, func, select, update

from pizzeria_chassis.database import Database
from pizzeria_chassis.health import OK, Check
from pizzeria_chassis.history import Row, count_unsent, history, placed_unsent, stamped, unplaced
from pizzeria_chassis.leadership import leadership_for
from pizzeria_chassis.loops import PeriodicTask
from pizzeria_chassis.metrics import EventMetrics
from pizzeria_chassis.stream_end import StreamEnd
from pizzeria_chassis.tables import outbox

__all__ = ["Relay"]

_log = structlog.get_logger(__name__)

POLL_SECONDS: Final = 0.1
BATCH: Final = 200
STANDBY_SECONDS: Final = 0.5
CHECK_SECONDS: Final = 1.0
TRIM_SECONDS: Final = 30.0
FLUSH_SECONDS: Final = 2.0
_LAST_PLACE: Final = select(func.max(outbox.c.position))
_PLACE: Final = (
    update(outbox)
    .where(outbox.c.id == bindparam("row"), outbox.c.position.is_(None))
    .values(position=bindparam("place"))
)
_SENT: Final = (
    update(outbox)
    .where(outbox.c.position <= bindparam("last"), outbox.c.sent_at.is_(None))
    .values(sent_at=bindparam("now"))
)
REFILL: Final = 1000
"""How many events an empty stream gets back; what is older, consumers take from the feed."""


class Relay:
    """Carries the outbox to the stream; of all replicas one is at work, chosen by the database.

    Guarantees: an event is on the stream, at least once, if and only if its transaction committed; positions
    have no gap and no repeat; events of one subject go out in sequence. Redis that comes back with less than
    it had gets the end of the stream again.
    """

    def __init__(
        self,
        database: Database,
        connections: RedisConnections,
        *,
        streams: Sequence[str],
        partitions: int = 1,
        metrics: EventMetrics | None = None,
    ) -> None:
        self._database = database
        self._connections = connections
        self._publisher = StreamPublisher(connections)
        self._partitions = partitions
        self._metrics = metrics
        self._lead = leadership_for(database)
        self._leads = False
        self._led_before = False
        self._ends = {
            name: StreamEnd(name, connections, self._publisher, source=database.source)
            for stream in streams
            for name in stream_names(stream, partitions)
        }
        self._standby_until = 0.0
        self._next_check = 0.0
        self._next_trim = time.monotonic() + TRIM_SECONDS
        self._waiting = 0
        # Whether rows may have a position and not be sent: an earlier turn was cut short.
        self._unfinished = True
        self._task = PeriodicTask("outbox", POLL_SECONDS, self._round, backoff=Backoff(0.1, 1.0))
        database.on_events_committed(self._task.nudge)

    @property
    def leads(self) -> bool:
        return self._leads

    async def start(self) -> None:
        await self._task.start()

    async def stop(self) -> None:
        """Send what is committed, as far as Redis answers within 2 s, and let another lead."""
        await self._task.stop()
        if self._leads:
            try:
                async with asyncio.timeout(FLUSH_SECONDS):
                    while await self._round():
                        pass
            except Exception as error:  # noqa: BLE001 - the rows are safe; the next leader sends them
                _log.warning("outbox_flush_failed", error=type(error).__name__)
        # A standby has a session of its own as well.
        await self._step_down()

    def checks(self) -> Mapping[str, Check]:
        check = self._task.checks()["outbox"]
        if check.status != "ok":
            return {"outbox": Check(check.status, f"{self._waiting} events wait; {check.reason}")}
        return {"outbox": OK if self._leads else Check("ok", "standby")}

    async def _round(self) -> bool:
        """One turn of the loop; True when there is more to send."""
        if not self._leads and not await self._take_lead():
            return False
        try:
            return await self._work()
        except BaseException:
            # On the next turn: is the lead still ours, does Redis hold what we sent, what is half done?
            self._next_check = 0.0
            self._unfinished = True
            await self._step_down()
            raise

    async def _take_lead(self) -> bool:
        now = time.monotonic()
        if now < self._standby_until:
            return False
        if leads := await self._lead.acquire():
            await self._learn_ends()
        else:
            self._standby_until = now + STANDBY_SECONDS
        if leads != self._led_before:
            _log.info("relay_leads" if leads else "relay_stands_by")
        self._leads = self._led_before = leads
        if self._metrics is not None:
            self._metrics.leading.set(leads)
        return leads

    async def _work(self) -> bool:
        if self._unfinished:
            async with self._database.read() as connection:
                self._note_waiting(await count_unsent(connection))
        if time.monotonic() >= self._next_check:
            await self._lead.confirm()
            await self._refill()
            self._next_check = time.monotonic() + CHECK_SECONDS
        rows = await self._next_rows()
        if rows:
            await self._publish([stamped(row) for row in rows])
            await self._mark_sent(rows[-1])
        self._note_waiting(0)
        if time.monotonic() >= self._next_trim:
            self._next_trim = time.monotonic() + TRIM_SECONDS
            for name in self._ends:
                await self._publisher.trim(name)
                if self._metrics is not None:
                    # Also the groups that nobody reads any more: they keep the stream from being trimmed.
                    self._metrics.groups.show(name, await read_groups(self._connections, name))
        return len(rows) == BATCH

    def _note_waiting(self, events: int) -> None:
        self._waiting = events
        if self._metrics is not None:
            self._metrics.unsent.set(events)

    async def _step_down(self) -> None:
        self._leads = False
        await self._lead.release()
        if self._metrics is not None:
            self._metrics.leading.set(0)

    async def _next_rows(self) -> Sequence[Row]:
        """The next rows to send, with their positions."""
        async with self._database.read() as connection:
            if self._unfinished:
                if rows := await placed_unsent(connection, limit=BATCH):
                    return rows
                self._unfinished = False
            rows = await unplaced(connection, limit=BATCH)
        self._note_waiting(len(rows))
        return await self._give_positions(rows) if rows else rows

    async def _give_positions(self, rows: Sequence[Row]) -> Sequence[Row]:
        async with self._lead.begin() as connection:
            last = (await connection.execute(_LAST_PLACE)).scalar() or 0
            placed = [row._replace(position=place) for place, row in enumerate(rows, start=last + 1)]
            places = [{"row": row.id, "place": row.position} for row in placed]
            await connection.execute(_PLACE, places)
        return placed

    async def _mark_sent(self, last: Row) -> None:
        async with self._lead.begin() as connection:
            await connection.execute(_SENT, {"last": last.position, "now": self._database.clock.now()})

    async def _publish(self, events: Sequence[tuple[str, RawEvent]]) -> None:
        batches: dict[str, list[CloudEvent[Any]]] = {}
        for stream, event in events:
            names = stream_names(stream, self._partitions)
            batches.setdefault(names[partition_of(event.subject, self._partitions)], []).append(event)
        for name, batch in batches.items():
            await self._ends[name].publish(batch)
        if self._metrics is not None:
            self._metrics.sent.inc(len(events))

    async def _learn_ends(self) -> None:
        """Find out what each stream should end with, as the database tells it."""
        async with self._database.read() as connection:
            sent = await history(connection, newest=REFILL, sent=True)
        for row in sent:
            stream, event = stamped(row)
            name = stream_names(stream, self._partitions)[partition_of(event.subject, self._partitions)]
            self._ends[name].expected = event.position or 0

    async def _refill(self) -> None:
        """Add again what Redis lost since it was sent."""
        for name, end in self._ends.items():
            held = await end.held()
            if held >= end.expected:
                continue
            async with self._database.read() as connection:
                rows = await history(connection, newest=REFILL, after=held, upto=end.expected, sent=True)
            lost = [
                event
                for stream, event in map(stamped, rows)
                if stream_names(stream, self._partitions)[partition_of(event.subject, self._partitions)]
                == name
            ]
            _log.warning("stream_refilled", stream=name, held=held, expected=end.expected, added=len(lost))
            await end.publish(lost)
            if self._metrics is not None:
                self._metrics.refilled.inc(len(lost))
