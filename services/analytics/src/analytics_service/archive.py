"""Writing and reading the archive."""

from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from pizzeria_chassis.transaction import Transaction
from rediscore.streams import RawEvent
from sqlalchemy import Row, delete, func, insert, select, text, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from analytics_service.tables import archive, snapshots

# Any number, the same in all replicas: they share a database.
ARCHIVE_LOCK: Final = 6_073_040


@dataclass(frozen=True)
class Archived:
    """One archived event and its place in the archive."""

    seq: int
    stream: str
    event: RawEvent


async def in_turn(tx: Transaction) -> None:
    """From here to the end of the transaction nobody else writes the archive. One statement."""
    if tx.connection.dialect.name == "postgresql":  # SQLite has one writer anyway
        await tx.connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ARCHIVE_LOCK})


async def append(tx: Transaction, stream: str, events: Sequence[RawEvent]) -> None:
    """Add those of the events that are not there yet. Five statements.

    Writers go one after the other, and number without a gap (a sequence of the database would leave one for
    each repeat and each rollback): a reader that has seen `seq` n will never be given a smaller one later,
    and the newest `seq` is how many events there are.

    Snapshots of past moments that should have had one of the new events are taken away.
    """
    await in_turn(tx)
    by_id = {event.id: event for event in events}
    there = await tx.connection.execute(select(archive.c.event_id).where(archive.c.event_id.in_(by_id)))
    for event_id in there.scalars():
        del by_id[event_id]
    if not by_id:
        return
    newest = await head(tx.connection)
    rows = [
        {
            "seq": seq,
            "event_id": event.id,
            "stream": stream,
            "subject": event.subject,
            "type": event.type,
            "time": event.time,
            "position": event.position,
            "envelope": event.to_json(),
        }
        for seq, event in enumerate(by_id.values(), newest + 1)
    ]
    await tx.connection.execute(insert(archive), rows)
    earliest = min(event.time for event in by_id.values())
    await tx.connection.execute(delete(snapshots).where(snapshots.c.until >= earliest))


async def head(connection: AsyncConnection) -> int:
    """`seq` of the newest event, 0 when there is none. One statement."""
    return (await connection.execute(select(func.max(archive.c.seq)))).scalar_one() or 0


async def since(connection: AsyncConnection, seq: int, *, limit: int) -> list[Archived]:
    """The events from `seq` on, itself included, oldest first. One statement."""
    query = select(archive).where(archive.c.seq >= seq).order_by(archive.c.seq).limit(limit)
    return [_archived(row) for row in await connection.execute(query)]


async def known(
    connection: AsyncConnection, subjects: Iterable[str], *, upto: int, types: Collection[str]
) -> dict[str, list[RawEvent]]:
    """The events of these types about these subjects up to `seq`, by subject. One statement per 500."""
    found: dict[str, list[RawEvent]] = {}
    left = iter(subjects)
    while some := list(islice(left, 500)):
        query = select(archive).where(
            archive.c.subject.in_(some), archive.c.seq <= upto, archive.c.type.in_(types)
        )
        for row in await connection.execute(query):
            found.setdefault(row.subject, []).append(_archived(row).event)
    return found


async def by_subject(
    connection: AsyncConnection, *, upto: int, types: Collection[str], page: int = 1000
) -> AsyncIterator[tuple[str, list[RawEvent]]]:
    """Every subject and all its events of these types up to `seq`. One statement per `page` events."""
    subject, events = "", list[RawEvent]()
    at = ("", 0)
    while True:
        query = (
            select(archive)
            .where(
                tuple_(archive.c.subject, archive.c.seq) > at,
                archive.c.seq <= upto,
                archive.c.type.in_(types),
            )
            .order_by(archive.c.subject, archive.c.seq)
            .limit(page)
        )
        rows = (await connection.execute(query)).all()
        for row in rows:
            if row.subject != subject:
                if events:
                    yield subject, events
                subject, events = row.subject, []
            events.append(_archived(row).event)
        if len(rows) < page:
            break
        at = (rows[-1].subject, rows[-1].seq)
    if events:
        yield subject, events


async def positions(connection: AsyncConnection, stream: str, *, upto: int) -> int:
    """How many different positions of a stream are archived, up to one. One statement."""
    query = select(func.count(archive.c.position.distinct())).where(
        archive.c.stream == stream, archive.c.position.between(1, upto)
    )
    return (await connection.execute(query)).scalar_one()


async def ids_at(connection: AsyncConnection, stream: str, *, after: int, upto: int) -> dict[int, str]:
    """Ids of archived events by their positions. One statement."""
    query = select(archive.c.position, archive.c.event_id).where(
        archive.c.stream == stream, archive.c.position > after, archive.c.position <= upto
    )
    return {row.position: row.event_id for row in await connection.execute(query)}


async def about(connection: AsyncConnection, subject: str) -> list[Archived]:
    """All events about one subject, in the order of their times. One statement."""
    query = select(archive).where(archive.c.subject == subject).order_by(archive.c.time, archive.c.seq)
    return [_archived(row) for row in await connection.execute(query)]


def _archived(row: Row[Any]) -> Archived:
    return Archived(row.seq, row.stream, RawEvent.model_validate_json(row.envelope))
