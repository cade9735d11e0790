"""What guests are to be told, and what they were told."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from pizzeria_chassis.database import Database
from pizzeria_chassis.ids import new_id
from pizzeria_chassis.transaction import Transaction
from sqlalchemy import ColumnElement, Row, delete, insert, select, tuple_, update

from order_service.adapters.order_rows import as_order
from order_service.adapters.tables import mailbox, notices_due, orders
from order_service.domain.notices import Notice
from order_service.domain.order import Order
from order_service.domain.records import Due, Letter


async def remember(tx: Transaction, order_id: str, notice: Notice) -> None:
    """The guest is to be told; goes with the change that it tells of."""
    now = tx.now
    due = {"order_id": order_id, "kind": notice, "letter_id": new_id(), "happened_at": now, "sent_at": now}
    await tx.connection.execute(insert(notices_due), due)


class SqlMailbox:
    """See `use_cases.ports.Mailbox`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def deliver(
        self, due: Sequence[Due], content: Callable[[Notice, Order], Mapping[str, object]]
    ) -> None:
        wanted = _are(due)
        query = (
            select(notices_due.c.kind, notices_due.c.letter_id, notices_due.c.happened_at, orders)
            .join(orders, orders.c.id == notices_due.c.order_id)
            .where(wanted)
            .with_for_update(of=notices_due)
        )

        def letter(row: Row[Any]) -> dict[str, object]:
            return {
                "id": row.letter_id,
                "customer_id": row.customer_id,
                "order_id": row.id,
                "kind": row.kind,
                "content": content(Notice(row.kind), as_order(row)),
                "created_at": row.happened_at,
            }

        async def work(tx: Transaction) -> None:
            found = (await tx.connection.execute(query)).all()
            if not found:
                return  # told already
            await tx.connection.execute(insert(mailbox), [letter(row) for row in found])
            await tx.connection.execute(delete(notices_due).where(wanted))

        await self._database.transact(work)

    async def overdue(self, since: datetime, limit: int) -> list[Due]:
        query = (
            select(notices_due.c.order_id, notices_due.c.kind)
            .where(notices_due.c.sent_at <= since)
            .order_by(notices_due.c.sent_at)
            .limit(limit)
        )
        async with self._database.read() as connection:
            return [Due(row.order_id, Notice(row.kind)) for row in await connection.execute(query)]

    async def set_out(self, due: Sequence[Due], now: datetime) -> None:
        later = update(notices_due).where(_are(due)).values(sent_at=now)
        await self._database.transact(lambda tx: tx.connection.execute(later))

    async def letters(self, customer_id: str, after: str | None, limit: int) -> Sequence[Letter]:
        query = (
            select(mailbox)
            .where(mailbox.c.customer_id == customer_id)
            .order_by(mailbox.c.id.desc())
            .limit(limit)
        )
        if after is not None:
            query = query.where(mailbox.c.id < after)
        async with self._database.read() as connection:
            return [Letter(**row._mapping) for row in await connection.execute(query)]


def _are(due: Sequence[Due]) -> ColumnElement[bool]:
    pairs = [(one.order_id, one.notice) for one in due]
    return tuple_(notices_due.c.order_id, notices_due.c.kind).in_(pairs)
