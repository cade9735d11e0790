"""From the archive to the projections, by itself and exactly once."""

from datetime import UTC, date, datetime, timedelta
from typing import Final

import structlog
from pizzeria_chassis.database import Database
from rediscore.clock import Clock

from analytics_service import archive
from analytics_service.fold import fold
from analytics_service.projections import Checkpoint, Projections

_log = structlog.get_logger(__name__)

BATCH: Final = 500
DAYS_KEPT: Final = 8
"""Today and the seven days before it."""


def oldest_day(now: datetime) -> date:
    """The first day whose hours are kept."""
    return now.astimezone(UTC).date() - timedelta(days=DAYS_KEPT - 1)


class Projector:
    """Counts what was archived after the checkpoint, and moves the checkpoint in the same step.

    The checkpoint lives where the counts live. Lost together (a wiped Redis), both begin anew; a second
    projector, or a second sending of the same step, finds the checkpoint moved and counts nothing.
    """

    def __init__(self, database: Database, projections: Projections, clock: Clock) -> None:
        self._database = database
        self._projections = projections
        self._clock = clock

    async def step(self) -> bool:
        """Count one batch; True when there may be more. Two round trips to Redis and one statement.

        Raises: DatabaseUnavailable, redis-py's ConnectionError or TimeoutError; repeating is safe.
        """
        found = (await self._projections.state()).checkpoint
        start = found or Checkpoint()
        async with self._database.read() as session:
            rows = await archive.since(session, start.seq, limit=BATCH + 1)
        if start.seq > 0:
            # The row of the checkpoint itself comes along, as the proof that it is this archive's.
            if not rows or (rows[0].seq, rows[0].event.id) != (start.seq, start.event_id):
                return await self._begin_anew(found)
            rows = rows[1:]
        if not rows:
            return False
        end = Checkpoint(rows[-1].seq, rows[-1].event.id)
        counted = await self._projections.apply(
            fold(row.event for row in rows),
            start=found,
            end=end,
            fresh=found is None,
            oldest=oldest_day(self._clock.now()),
        )
        return not counted or len(rows) >= BATCH

    async def _begin_anew(self, found: Checkpoint | None) -> bool:
        # The database was replaced or put back to an older state: these counts are of another history.
        _log.warning("projections_of_another_archive", checkpoint=str(found))
        await self._projections.apply(
            fold(()), start=found, end=Checkpoint(), fresh=True, oldest=oldest_day(self._clock.now())
        )
        return True
