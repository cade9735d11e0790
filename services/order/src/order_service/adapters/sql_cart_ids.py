"""Which cart of a guest counts."""

from pizzeria_chassis.database import Database
from pizzeria_chassis.transaction import Transaction
from sqlalchemy import select, update

from order_service.adapters.tables import customers
from order_service.domain.errors import CartSpent


class SqlCartIds:
    """A guest has one cart or none. Begun and ended here, so that Redis can lose it but not bring it back."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def current(self, customer_id: str) -> str | None:
        """One read."""
        query = select(customers.c.cart_id).where(customers.c.id == customer_id)
        async with self._database.read() as connection:
            return (await connection.execute(query)).scalar_one_or_none()

    async def begin(self, customer_id: str, cart_id: str) -> bool:
        """Whether it is the guest's cart from now on; False when there is another one."""
        begun = (
            update(customers)
            .where(customers.c.id == customer_id, customers.c.cart_id.is_(None))
            .values(cart_id=cart_id)
            .returning(customers.c.id)
        )

        async def work(tx: Transaction) -> bool:
            return (await tx.connection.execute(begun)).one_or_none() is not None

        return await self._database.transact(work)

    async def end(self, customer_id: str, cart_id: str) -> None:
        """It counts no more; nothing happens when it did not."""

        async def work(tx: Transaction) -> None:
            await _ended(tx, customer_id, cart_id)

        await self._database.transact(work)


async def spend_cart(tx: Transaction, customer_id: str, cart_id: str) -> None:
    """End the cart in the transaction that orders it. Raises CartSpent when it was ordered before."""
    if not await _ended(tx, customer_id, cart_id):
        raise CartSpent


async def _ended(tx: Transaction, customer_id: str, cart_id: str) -> bool:
    ended = (
        update(customers)
        .where(customers.c.id == customer_id, customers.c.cart_id == cart_id)
        .values(cart_id=None)
        .returning(customers.c.id)
    )
    return (await tx.connection.execute(ended)).one_or_none() is not None
