"""From the archive to the projections, by itself and exactly once."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final

import structlog
from pizzeria_chassis.database import Database
from pizzeria_chassis.health import OK, Check
from pizzeria_chassis.loops import PeriodicTask
from rediscore.clock import Clock
from rediscore.streams import RawEvent

from analytics_service import archive
from analytics_service.fold import change
from analytics_service.picture import Differences, differences, read_picture, same_moment
from analytics_service.projections import Checkpoint, Control, Generation, Projections
from analytics_service.rebuilds import Rebuild, Rebuilds
from analytics_service.segments import moves
from analytics_service.story import READ_TYPES
from analytics_service.tally import Cell, customer_of, customer_table, kept, oldest_customer_day, total

_log = structlog.get_logger(__name__)

BATCH: Final = 250
GATHER_SECONDS: Final = 0.1
COMPARISONS: Final = 3
"""How often a rebuild is compared when that takes longer than the live one stands still; then it goes live
without."""


@dataclass(frozen=True)
class _Step:
    """Where a generation is after a step (None: out of use), and whether there may be more to count."""

    generation: Generation | None
    more: bool


class Projector:
    """Counts what was archived after the checkpoint of the live generation, and builds its successor.

    A checkpoint lives where the counts live and moves with them. A second projector, or a second sending of
    the same step, finds it moved and counts nothing. Without a live generation (Redis is new or was wiped,
    or the layout is another one) or when somebody asks, a new one is folded from the start beside it,
    compared with it while it stands still, and put in its place at once. Whoever is killed on the way,
    another goes on.

    Args:
        counted: told the number of the newest counted event whenever the live projections have changed.
    """

    def __init__(
        self,
        database: Database,
        projections: Projections,
        clock: Clock,
        counted: Callable[[int], Awaitable[None]] | None = None,
    ) -> None:
        self._database = database
        self._projections = projections
        self._rebuilds = Rebuilds(database, projections.layout)
        self._clock = clock
        self._counted = counted
        self._building = ""
        self._comparisons = 0
        self.live = False
        """Whether there was a live generation when this last looked."""

    async def step(self) -> bool:
        """Count one batch, of both generations when one is being built; True when there may be more.

        At rest: one round trip to Redis and two statements.

        Raises: DatabaseUnavailable, redis-py's ConnectionError or TimeoutError; repeating is safe.
        """
        control = await self._projections.control()
        live, more = control.live, False
        if live is not None:
            step = await self._advance(live)
            if step.generation is not None and step.generation != live:
                await self._tell(step.generation)
            live, more = step.generation, step.more
        self.live = live is not None
        more = await self._build(control, live) or more
        if not more and control.retired:
            await self._projections.clear_retired(control, self._clock.now())
        return more

    async def _advance(self, generation: Generation, upto: int | None = None) -> _Step:
        """Count one batch into a generation, of events up to `upto`."""
        start = generation.checkpoint
        async with self._database.read() as connection:
            rows = await archive.since(connection, start.seq, limit=BATCH + 1)
            if start.seq > 0:
                # The row of the checkpoint itself comes along, as the proof that it is this archive's.
                if not rows or (rows[0].seq, rows[0].event.id) != (start.seq, start.event_id):
                    # The database was replaced or put back to an older state.
                    _log.warning("projections_of_another_archive", checkpoint=str(start))
                    await self._projections.drop(generation)
                    return _Step(None, True)
                rows = rows[1:]
            if upto is not None:
                rows = [row for row in rows if row.seq <= upto]
            if not rows:
                return _Step(generation, False)
            news: dict[str, list[RawEvent]] = {}
            for row in rows:
                if row.event.type in READ_TYPES:
                    news.setdefault(row.event.subject, []).append(row.event)
            before = await archive.known(connection, news, upto=start.seq, types=READ_TYPES)
        end = Checkpoint(rows[-1].seq, rows[-1].event.id)
        if not await self._apply(generation, end, before, news):
            return _Step(generation, True)
        return _Step(Generation(generation.name, end), len(rows) >= BATCH)

    async def _apply(
        self,
        generation: Generation,
        end: Checkpoint,
        before: Mapping[str, list[RawEvent]],
        news: Mapping[str, list[RawEvent]],
    ) -> bool:
        now = self._clock.now()
        today = day_of(now)
        changes = (change(before.get(subject, []), events) for subject, events in news.items())
        tally = kept(total(changes), today)
        # Read after the checkpoint was: if it has moved since, what was read may be newer, and is not used.
        ids = sorted({customer_id for cell in tally if (customer_id := customer_of(cell))})
        customers = await self._projections.customers(generation.name, ids)
        for customer_id, fields in customers.items():
            for old in [name for name in fields if name < oldest_customer_day(today)]:
                tally[Cell(customer_table(customer_id), old)] -= fields[old]
        return await self._projections.apply(generation, end, tally, moves(customers, tally), now)

    async def _build(self, control: Control, live: Generation | None) -> bool:
        """One step of the rebuild that is under way, if any; True when there is more."""
        wanted = await self._rebuilds.open()
        if wanted is None:
            # Looked at once more: what was under way may have gone live, and ended, since the first look.
            if live is not None or (await self._projections.control()).live is not None:
                return False
            wanted = await self._rebuilds.request("nothing-counted")
        if live is not None and live.name == wanted.id:
            await self._rebuilds.finish(wanted.id)
            return True
        if self._building != wanted.id:
            self._building, self._comparisons = wanted.id, 0
        shadow = control.shadow
        if shadow is None or shadow.name != wanted.id:
            _log.info("rebuild_began", rebuild=wanted.id, reason=wanted.reason)
            await self._projections.begin(wanted.id)
            return True
        step = await self._advance(shadow, upto=live.checkpoint.seq if live else None)
        if step.more or step.generation is None:
            return True
        if live is not None:
            await self._projections.hold(wanted.id)
            # Where the live one stands now is where it stays: what came since may still separate the two.
            held = await self._projections.control()
            live, shadow = held.live, held.shadow
            if live is None or shadow is None or shadow.name != wanted.id:
                return True
            step = await self._advance(shadow, upto=live.checkpoint.seq)
        if step.generation is not None and (live is None or live.checkpoint == step.generation.checkpoint):
            await self._replace(wanted, live, step.generation)
        return True

    async def _replace(self, wanted: Rebuild, live: Generation | None, shadow: Generation) -> None:
        """Compare both, which have counted exactly as far, and make the shadow the live one."""
        compared: bool | None = None
        found = Differences()
        if live is not None and self._comparisons >= COMPARISONS:
            compared = False
        elif live is not None:
            self._comparisons += 1
            today = day_of(self._clock.now())
            old = await read_picture(self._projections, live.name, today)
            new = await read_picture(self._projections, shadow.name, today)
            compared = await same_moment(self._projections, [live, shadow])
            if not compared:
                return
            found = differences(expected=new, found=old)
        await self._rebuilds.note(wanted.id, compared, found)
        if await self._projections.swap(wanted.id, shadow.checkpoint):
            _log.info("rebuild_live", rebuild=wanted.id, differences=found.count)
            self.live = True
            await self._tell(shadow)

    async def _tell(self, live: Generation) -> None:
        if self._counted is not None:
            await self._counted(live.checkpoint.seq)


class ProjectorTask(PeriodicTask):
    """The projector at work; not ready as long as there is nothing that it may show.

    Events that come within a tenth of a second are counted together: a step costs some milliseconds, of one
    event as of hundreds.
    """

    def __init__(self, projector: Projector, seconds: float) -> None:
        super().__init__("projector", seconds, projector.step)
        self._projector = projector
        self._soon: asyncio.TimerHandle | None = None

    def nudge(self) -> None:
        """There is something new to count."""
        if self._soon is None:
            self._soon = asyncio.get_running_loop().call_later(GATHER_SECONDS, self._now)

    async def stop(self) -> None:
        if self._soon is not None:
            self._soon.cancel()
        await super().stop()

    def _now(self) -> None:
        self._soon = None
        super().nudge()

    def checks(self) -> Mapping[str, Check]:
        built = OK if self._projector.live else Check("down", "being folded from the archive")
        return {**super().checks(), "projections": built}


def day_of(moment: datetime) -> date:
    """The day in UTC."""
    return moment.astimezone(UTC).date()
