"""What SQL holds about one guest: read, corrected, deleted."""

from collections.abc import Mapping
from typing import Final

from pizzeria_chassis.database import Database
from pizzeria_chassis.transaction import Transaction
from sqlalchemy import delete, insert, or_, select, update

from order_service.adapters.order_rows import as_order
from order_service.adapters.tables import customers, idempotency, mailbox, notices_due, orders, sessions
from order_service.domain.errors import OrdersOpen, UnknownGuest
from order_service.domain.records import Customer, Dossier, Letter, Session
from order_service.domain.states import TERMINAL

# Whose the orders of deleted guests are. Made at the first deletion.
NOBODY: Final = "00000000-0000-0000-0000-000000000000"


class SqlProfiles:
    """See `use_cases.ports.Profiles`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def customer(self, customer_id: str) -> Customer | None:
        query = select(customers).where(customers.c.id == customer_id)
        async with self._database.read() as connection:
            row = (await connection.execute(query)).one_or_none()
        return None if row is None else Customer(**row._mapping)

    async def change(self, customer_id: str, changes: Mapping[str, str | None]) -> Customer | None:
        if not changes:
            return await self.customer(customer_id)
        changed = update(customers).where(customers.c.id == customer_id).values(changes).returning(customers)

        async def work(tx: Transaction) -> Customer | None:
            row = (await tx.connection.execute(changed)).one_or_none()
            return None if row is None else Customer(**row._mapping)

        return await self._database.transact(work)

    async def dossier(self, customer_id: str) -> Dossier | None:
        async def work(tx: Transaction) -> Dossier | None:
            # The lock keeps the parts of one moment: who writes any of them has to wait.
            query = select(customers).where(customers.c.id == customer_id).with_for_update()
            customer = (await tx.connection.execute(query)).one_or_none()
            if customer is None:
                return None
            signed_in, ordered, received = [
                await tx.connection.execute(
                    select(table).where(table.c.customer_id == customer_id).order_by(order)
                )
                for table, order in (
                    (sessions, sessions.c.created_at),
                    (orders, orders.c.id),
                    (mailbox, mailbox.c.id),
                )
            ]
            return Dossier(
                exported_at=tx.now,
                customer=Customer(**customer._mapping),
                sessions=tuple(Session(**row._mapping) for row in signed_in),
                orders=tuple(map(as_order, ordered)),
                letters=tuple(Letter(**row._mapping) for row in received),
            )

        return await self._database.transact(work)

    async def erase(self, customer_id: str) -> None:
        theirs = orders.c.customer_id == customer_id
        going_on = or_(orders.c.status.not_in(TERMINAL), orders.c.saga_step.is_not(None))

        async def work(tx: Transaction) -> None:
            # An order that is being placed holds the guest's row too: it is seen here, or finds nobody.
            query = select(customers.c.id).where(customers.c.id == customer_id).with_for_update()
            if (await tx.connection.execute(query)).one_or_none() is None:
                raise UnknownGuest
            if (
                await tx.connection.execute(select(orders.c.id).where(theirs, going_on).limit(1))
            ).one_or_none():
                raise OrdersOpen
            ended = select(orders.c.id).where(theirs).scalar_subquery()
            await tx.connection.execute(delete(notices_due).where(notices_due.c.order_id.in_(ended)))
            for table in (mailbox, sessions, idempotency):
                await tx.connection.execute(delete(table).where(table.c.customer_id == customer_id))
            await self._know_nobody(tx)
            await tx.connection.execute(
                update(orders)
                .where(theirs)
                .values(customer_id=NOBODY, delivery_address=None, notes=None, payment_token="")
            )
            await tx.connection.execute(delete(customers).where(customers.c.id == customer_id))

        await self._database.transact(work)

    async def _know_nobody(self, tx: Transaction) -> None:
        query = select(customers.c.id).where(customers.c.id == NOBODY)
        if (await tx.connection.execute(query)).one_or_none() is None:
            await tx.connection.execute(insert(customers).values(id=NOBODY, name="", created_at=tx.now))
