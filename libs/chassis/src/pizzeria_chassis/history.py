"""The outbox as history: what this service told, in the order of its positions."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from rediscore.streams.event import RawEvent
from sqlalchemy import bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from pizzeria_chassis.tables import outbox

__all__ = ["OutboxState", "Row", "head", "history", "outbox_state", "placed_unsent", "stamped", "unplaced"]


_COLUMNS: Final = (outbox.c.id, outbox.c.stream, outbox.c.subject, outbox.c.envelope, outbox.c.position)

# Built once, because a relay asks all day: building a statement costs more than running it.
_UNPLACED: Final = (
    select(*_COLUMNS).where(outbox.c.position.is_(None)).order_by(outbox.c.id).limit(bindparam("most"))
)


class Row(NamedTuple):
    id: int
    stream: str
    subject: str
    envelope: str
    position: int | None


class OutboxState(NamedTuple):
    """``head``: events committed. ``sent``: all up to here are on their stream. Equal when at rest."""

    head: int
    sent: int


def stamped(row: Row) -> tuple[str, RawEvent]:
    """Return the stream and the event of a row, with its position."""
    event = RawEvent.model_validate_json(row.envelope)
    return row.stream, event.model_copy(update={"position": row.position})


async def history(
    connection: AsyncConnection,
    *,
    after: int = 0,
    upto: int | None = None,
    newest: int | None = None,
    limit: int | None = None,
    sent: bool = False,
) -> Sequence[Row]:
    """Return rows that have a position, in order: the first ``limit``, or the last ``newest``, in a range."""
    query = select(*_COLUMNS).where(outbox.c.position > after)
    if upto is not None:
        query = query.where(outbox.c.position <= upto)
    if sent:
        query = query.where(outbox.c.sent_at.is_not(None))
    if newest is not None:
        query = query.order_by(outbox.c.position.desc()).limit(newest)
    else:
        query = query.order_by(outbox.c.position).limit(limit)
    rows = [Row(*row) for row in (await connection.execute(query)).all()]
    return rows[::-1] if newest is not None else rows


async def unplaced(connection: AsyncConnection, *, limit: int) -> Sequence[Row]:
    """Return committed rows that have no position yet.

    By id, rows of one subject are in sequence: a number is only given out after the commit of the one
    before (a repeated number is refused and the transaction runs again).
    """
    return [Row(*row) for row in (await connection.execute(_UNPLACED, {"most": limit})).all()]


async def placed_unsent(connection: AsyncConnection, *, limit: int) -> Sequence[Row]:
    """Return rows that have a position and are not marked as sent, in the order of their positions."""
    query = (
        select(*_COLUMNS)
        .where(outbox.c.sent_at.is_(None), outbox.c.position.is_not(None))
        .order_by(outbox.c.position)
        .limit(limit)
    )
    return [Row(*row) for row in (await connection.execute(query)).all()]


async def count_unsent(connection: AsyncConnection) -> int:
    query = select(func.count()).select_from(outbox).where(outbox.c.sent_at.is_(None))
    return (await connection.execute(query)).scalar_one()


async def head(connection: AsyncConnection) -> int:
    """Return the newest position, 0 when there is none."""
    return (await connection.execute(select(func.max(outbox.c.position)))).scalar() or 0


async def outbox_state(connection: AsyncConnection) -> OutboxState:
    unplaced, first_unsent = (
        await connection.execute(
            select(
                func.count().filter(outbox.c.position.is_(None)),
                func.min(outbox.c.position),
            ).where(outbox.c.sent_at.is_(None))
        )
    ).one()
    newest = await head(connection)
    return OutboxState(newest + unplaced, newest if first_unsent is None else first_unsent - 1)
