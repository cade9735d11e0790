"""What has run out is deleted: answers to Idempotency-Keys, sessions."""

from pizzeria_chassis.database import Database
from pizzeria_chassis.transaction import Transaction
from sqlalchemy import delete

from order_service.adapters.tables import idempotency, sessions


async def delete_expired(database: Database) -> None:
    """One transaction; reads ignore what has run out, so this is about space alone."""

    async def work(tx: Transaction) -> None:
        for end in (idempotency.c.expires_at, sessions.c.expires_at, sessions.c.idle_until):
            await tx.connection.execute(delete(end.table).where(end <= tx.now))

    await database.transact(work)
