"""What the inbox need not remember (ADR 0037)."""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import delete, insert, or_, select, update

from pizzeria_chassis.database import Database
from pizzeria_chassis.tables import dead_letter, inbox, inbox_forgotten, inbox_position, operator_log
from pizzeria_chassis.transaction import Transaction

__all__ = ["forget_decisions", "forget_handled"]

AT_ONCE: Final = 1000


async def forget_handled(database: Database, stream: str, *, before: datetime) -> int:
    """Delete rows of events that were handled before a moment and lie below the noted position.

    Such an event is known by its position from then on. That is said in one call and the rows go in the
    next, at least a transaction later, so that no delivery falls in between. Rows of dead events stay. Moves
    on by at most 1000 events a call; returns how many rows went. One transaction.
    """

    async def work(tx: Transaction) -> int:
        query = select(inbox_forgotten.c.position).where(inbox_forgotten.c.stream == stream)
        told: int | None = (await tx.connection.execute(query)).scalar()
        gone: Any = await tx.connection.execute(
            delete(inbox).where(
                inbox.c.stream == stream,
                inbox.c.status != "dead",
                inbox.c.at < before,
                or_(inbox.c.position <= (told or 0), inbox.c.position.is_(None)),
            )
        )
        if (upto := await _old_enough(tx, stream, after=told or 0, before=before)) > (told or 0):
            if told is None:
                await tx.connection.execute(insert(inbox_forgotten).values(stream=stream, position=upto))
            else:
                moved = update(inbox_forgotten).where(inbox_forgotten.c.stream == stream)
                await tx.connection.execute(moved.values(position=upto))
        return int(gone.rowcount)

    return await database.transact(work)


async def _old_enough(tx: Transaction, stream: str, *, after: int, before: datetime) -> int:
    noted = select(inbox_position.c.position).where(inbox_position.c.stream == stream).scalar_subquery()
    rows = await tx.connection.execute(
        select(inbox.c.position, inbox.c.at)
        .where(inbox.c.stream == stream, inbox.c.position > after, inbox.c.position <= noted)
        .order_by(inbox.c.position)
        .limit(AT_ONCE)
    )
    upto = after
    for position, at in rows:
        if at >= before:
            break
        upto = position
    return upto


async def forget_decisions(database: Database, *, before: datetime) -> None:
    """Delete letters that were decided upon, and what operators did, before a moment. One transaction."""

    async def work(tx: Transaction) -> None:
        decided = dead_letter.c.state.in_(("redriven", "dropped"))
        await tx.connection.execute(delete(dead_letter).where(decided, dead_letter.c.due_at < before))
        await tx.connection.execute(delete(operator_log).where(operator_log.c.at < before))

    await database.transact(work)
