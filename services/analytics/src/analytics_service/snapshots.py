"""Standings written down, so that any past moment is a few thousand events away from one."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from pizzeria_chassis.database import Database
from pizzeria_chassis.transaction import Transaction
from rediscore.streams import RawEvent
from sqlalchemy import func, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from analytics_service.archive import in_turn
from analytics_service.as_of import FOLDED_TYPES, SNAPSHOT_LAYOUT, Standing
from analytics_service.tables import archive, snapshots

EVERY: Final = 10_000
"""Events between two snapshots."""

SETTLED: Final = timedelta(seconds=30)
"""Snapshots are of moments that are over for so long: what is late makes them anew."""

MOST_EVENTS: Final = 100_000
"""That one answer folds."""

_PAGE: Final = 1000
BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)


class TooFarFromASnapshot(Exception):  # noqa: N818 - named by what happened
    """More events lie between the moment and the last snapshot before it than one answer folds."""


class Snapshots:
    """Makes snapshots, and folds from the last one before a moment.

    Exact: a snapshot holds what every event up to its moment says; whoever archives an event that belongs
    before it takes it away in the same transaction (`archive.append`). Raises: DatabaseUnavailable.
    """

    def __init__(self, database: Database, *, every: int = EVERY, most: int = MOST_EVENTS) -> None:
        self._database = database
        self._every = every
        self._most = most

    async def standing(self, moment: datetime) -> Standing:
        """How things stood at a moment. A statement per 1000 events since the last snapshot before it.

        Raises: TooFarFromASnapshot.
        """
        async with self._database.read() as connection:
            at, standing = await _newest(connection, moment)
            folded = 0
            async for event in _between(connection, at, moment):
                standing.add(event)
                folded += 1
                if folded > self._most:
                    raise TooFarFromASnapshot
        return standing

    async def step(self) -> bool:
        """Make the next snapshot; True when there may be one more to make."""
        now = self._database.clock.now()
        async with self._database.read() as connection:
            head = (await connection.execute(select(func.max(archive.c.seq)))).scalar_one() or 0
            at, standing = await _newest(connection, now)
            until = await _nth_after(connection, at, self._every)
            if until is None or until > now - SETTLED:
                return False
            async for event in _between(connection, at, until, upto=head):
                standing.add(event)
        standing.forget_ended(until)
        return await self._write(until, standing, head)

    async def _write(self, until: datetime, standing: Standing, head: int) -> bool:
        async def work(tx: Transaction) -> bool:
            await in_turn(tx)  # nobody archives anything until this is committed
            later = select(archive.c.seq).where(archive.c.seq > head, archive.c.time <= until).limit(1)
            if (await tx.connection.execute(later)).first() is None:
                values = {"layout": SNAPSHOT_LAYOUT, "until": until, "body": standing.to_json()}
                dialect = tx.connection.dialect.name
                await tx.connection.execute(_insert(dialect).on_conflict_do_nothing().values(values))
            return True

        return await self._database.transact(work)


async def _newest(connection: AsyncConnection, moment: datetime) -> tuple[datetime, Standing]:
    query = (
        select(snapshots)
        .where(snapshots.c.layout == SNAPSHOT_LAYOUT, snapshots.c.until <= moment)
        .order_by(snapshots.c.until.desc())
        .limit(1)
    )
    row = (await connection.execute(query)).one_or_none()
    return (row.until, Standing.from_json(row.body)) if row else (BEGINNING, Standing())


async def _nth_after(connection: AsyncConnection, after: datetime, number: int) -> datetime | None:
    """The time of that event after a moment, None when there are fewer. Reads an index only."""
    query = select(archive.c.time).where(archive.c.time > after).order_by(archive.c.time, archive.c.seq)
    found: datetime | None = (
        await connection.execute(query.offset(number - 1).limit(1))
    ).scalar_one_or_none()
    return found


async def _between(
    connection: AsyncConnection, after: datetime, until: datetime, *, upto: int | None = None
) -> AsyncIterator[RawEvent]:
    """The events after one moment until another, that included, in the order of their times."""
    place = tuple_(archive.c.time, archive.c.seq)
    at: tuple[datetime, int] | None = None
    while True:
        query = select(archive.c.time, archive.c.seq, archive.c.envelope).where(
            archive.c.time > after if at is None else place > at,
            archive.c.time <= until,
            archive.c.type.in_(FOLDED_TYPES),
        )
        if upto is not None:
            query = query.where(archive.c.seq <= upto)
        rows = (await connection.execute(query.order_by(archive.c.time, archive.c.seq).limit(_PAGE))).all()
        for row in rows:
            yield RawEvent.model_validate_json(row.envelope)
        if len(rows) < _PAGE:
            return
        at = (rows[-1].time, rows[-1].seq)


def _insert(dialect: str) -> Any:
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    return insert(snapshots)
