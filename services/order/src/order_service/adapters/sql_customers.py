"""Guests and their sessions in SQL, so that signed-in guests stay signed in without Redis."""

from pizzeria_chassis.database import Database
from pizzeria_chassis.transaction import Transaction
from sqlalchemy import delete, insert, select

from order_service.adapters.tables import customers, sessions
from order_service.domain.records import Customer, Session


class SqlCustomers:
    """See `use_cases.ports.Customers`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def enter(self, customer: Customer, session: Session) -> None:
        async def work(tx: Transaction) -> None:
            await tx.session.execute(insert(customers).values(vars(customer)))
            await tx.session.execute(insert(sessions).values(vars(session)))

        await self._database.transact(work)

    async def session(self, token_sha256: str) -> Session | None:
        query = select(sessions).where(sessions.c.token_sha256 == token_sha256)
        async with self._database.read() as session:
            row = (await session.execute(query)).one_or_none()
        return None if row is None else Session(**row._mapping)

    async def customer(self, customer_id: str) -> Customer | None:
        query = select(customers).where(customers.c.id == customer_id)
        async with self._database.read() as session:
            row = (await session.execute(query)).one_or_none()
        return None if row is None else Customer(**row._mapping)

    async def leave(self, token_sha256: str) -> None:
        gone = delete(sessions).where(sessions.c.token_sha256 == token_sha256)
        await self._database.transact(lambda tx: tx.session.execute(gone))

    async def leave_everywhere(self, customer_id: str) -> None:
        gone = delete(sessions).where(sessions.c.customer_id == customer_id)
        await self._database.transact(lambda tx: tx.session.execute(gone))
