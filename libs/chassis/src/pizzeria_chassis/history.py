"""The outbox as history: what this service told, in the order of its positions."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from rediscore.streams.event import RawEvent
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from pizzeria_chassis.tables import outbox

__all__ = ["OutboxState", "Row", "head", "history", "outbox_state", "placed_unsent", "stamped", "unplaced"]


_COLUMNS: Final = (outbox.c.id, outbox.c.stream, outbox.c.subject, outbox.c.envelope, outbox.c.position)


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
    session: AsyncSession,
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
    rows = [Row(*row) for row in (await session.execute(query)).all()]
    return rows[::-1] if newest is not None else rows


async def unplaced(session: AsyncSession, *, limit: int) -> Sequence[Row]:
    """Return committed rows that have no position yet.

    By id, rows of one subject are in sequence: a number is only given out after the commit of the one
    before (a repeated number is refused and the transaction runs again).
    """
    query = select(*_COLUMNS).where(outbox.c.position.is_(None)).order_by(outbox.c.id).limit(limit)
    return [Row(*row) for row in (await session.execute(query)).all()]


async def placed_unsent(session: AsyncSession, *, limit: int) -> Sequence[Row]:
    """Return rows that have a position and are not marked as sent, in the order of their positions."""
    query = (
        select(*_COLUMNS)
        .where(outbox.c.sent_at.is_(None), outbox.c.position.is_not(None))
        .order_by(outbox.c.position)
        .limit(limit)
    )
    return [Row(*row) for row in (await session.execute(query)).all()]


async def count_unsent(session: AsyncSession) -> int:
    query = select(func.count()).select_from(outbox).where(outbox.c.sent_at.is_(None))
    return (await session.execute(query)).scalar_one()


async def head(session: AsyncSession) -> int:
    """Return the newest position, 0 when there is none."""
    return (await session.execute(select(func.max(outbox.c.position)))).scalar() or 0


async def outbox_state(session: AsyncSession) -> OutboxState:
    unplaced, first_unsent = (
        await session.execute(
            select(
                func.count().filter(outbox.c.position.is_(None)),
                func.min(outbox.c.position),
            ).where(outbox.c.sent_at.is_(None))
        )
    ).one()
    newest = await head(session)
    return OutboxState(newest + unplaced, newest if first_unsent is None else first_unsent - 1)
