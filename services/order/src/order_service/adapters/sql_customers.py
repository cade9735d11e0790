"""Guests and their sessions in SQL, so that signed-in guests stay signed in without Redis."""

from datetime import datetime

from pizzeria_chassis.database import Database
from pizzeria_chassis.transaction import Transaction
from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from order_service.adapters.tables import customers, sessions
from order_service.domain.errors import UnknownGuest
from order_service.domain.records import Customer, Session


class SqlCustomers:
    """See `use_cases.ports.Customers`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def enter(self, customer: Customer, session: Session) -> None:
        async def work(tx: Transaction) -> None:
            await tx.connection.execute(insert(customers).values(vars(customer)))
            await tx.connection.execute(insert(sessions).values(vars(session)))

        await self._database.transact(work)

    async def enter_again(self, session: Session, *, most: int) -> None:
        newest = (
            select(sessions.c.token_sha256)
            .where(sessions.c.customer_id == session.customer_id)
            .order_by(sessions.c.created_at.desc())
            .limit(most)
        )

        async def work(tx: Transaction) -> None:
            try:
                await tx.connection.execute(insert(sessions).values(vars(session)))
            except IntegrityError as error:
                raise UnknownGuest from error
            await tx.connection.execute(
                delete(sessions).where(
                    sessions.c.customer_id == session.customer_id,
                    sessions.c.token_sha256.not_in(newest.scalar_subquery()),
                )
            )

        await self._database.transact(work)

    async def slide(self, token_sha256: str, idle_until: datetime) -> None:
        later = (
            update(sessions)
            .where(sessions.c.token_sha256 == token_sha256, sessions.c.idle_until < idle_until)
            .values(idle_until=idle_until)
        )
        await self._database.transact(lambda tx: tx.connection.execute(later))

    async def rename(self, token_sha256: str, successor_sha256: str) -> Session | None:
        renamed = (
            update(sessions)
            .where(sessions.c.token_sha256 == token_sha256)
            .values(token_sha256=successor_sha256)
            .returning(sessions)
        )

        async def work(tx: Transaction) -> Session | None:
            row = (await tx.connection.execute(renamed)).one_or_none()
            return None if row is None else Session(**row._mapping)

        return await self._database.transact(work)

    async def session(self, token_sha256: str) -> Session | None:
        query = select(sessions).where(sessions.c.token_sha256 == token_sha256)
        async with self._database.read() as connection:
            row = (await connection.execute(query)).one_or_none()
        return None if row is None else Session(**row._mapping)

    async def leave(self, token_sha256: str) -> None:
        gone = delete(sessions).where(sessions.c.token_sha256 == token_sha256)
        await self._database.transact(lambda tx: tx.connection.execute(gone))

    async def leave_everywhere(self, customer_id: str) -> None:
        gone = delete(sessions).where(sessions.c.customer_id == customer_id)
        await self._database.transact(lambda tx: tx.connection.execute(gone))
