"""A payment provider in test mode: somebody else's ledger that happens to live in our database.

It has its own tables and its own transactions and shares nothing with an order but the key, so
everything that can go wrong between two parties can go wrong here: it may have captured what we
never heard of. Tokens: tok_approved, tok_declined, tok_timeout (captures, and its reply never comes).
"""

import asyncio
from collections.abc import Coroutine
from decimal import Decimal
from typing import Any, Final, TypeVar

from pizzeria_chassis.columns import AmountColumn, BigId, UtcDateTime
from pizzeria_chassis.database import Database
from pizzeria_chassis.errors import DatabaseUnavailable
from pizzeria_chassis.transaction import Transaction
from sqlalchemy import Column, Index, PrimaryKeyConstraint, String, Table, bindparam, insert, select, update

from order_service.adapters.tables import metadata
from order_service.domain.errors import ProviderUnavailable
from order_service.domain.news import Settlement
from order_service.domain.saga import Answer

T = TypeVar("T")

APPROVED: Final = "tok_approved"
DECLINED: Final = "tok_declined"
TIMES_OUT: Final = "tok_timeout"

NOTHING: Final = Decimal("0.00")
REFUNDED: Final = "refunded"

# What is held under each key: captured, declined, voided or refunded.
holdings: Final = Table(
    "provider_holdings",
    metadata,
    Column("key", String(100), nullable=False),
    Column("state", String(20), nullable=False),
    Column("amount", AmountColumn, nullable=False),
    PrimaryKeyConstraint("key", name="pk_provider_holdings"),
)

# Every movement of money, append-only and without a unique key: here a double charge would show.
movements: Final = Table(
    "provider_movements",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=True),
    Column("key", String(100), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("amount", AmountColumn, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Index("ix_provider_movements_key", "key"),
)


# Built once: building a statement costs more than running it.
_LOOK_UP: Final = (
    select(holdings.c.state, holdings.c.amount).where(holdings.c.key == bindparam("wanted")).with_for_update()
)


class SandboxProvider:
    """See `use_cases.ports.PaymentProvider`. One transaction per call.

    Args:
        timeout: seconds to wait for a reply before it counts as lost.
    """

    def __init__(self, database: Database, *, timeout: float) -> None:
        self._database = database
        self._timeout = timeout

    def knows(self, token: str) -> bool:
        return token in (APPROVED, DECLINED, TIMES_OUT)

    async def charge(self, key: str, amount: Decimal, token: str) -> Answer:
        async def answer() -> Answer:
            charge = await self._database.transact(lambda tx: self._charge(tx, key, amount, token))
            if token == TIMES_OUT:
                await asyncio.Event().wait()  # the reply is lost on its way
            return charge

        return await self._reply(answer())

    async def lookup(self, key: str) -> Answer:
        return await self._reply(self._database.transact(lambda tx: self._look_up(tx, key)))

    async def refund(self, key: str) -> Settlement:
        return await self._reply(self._database.transact(lambda tx: self._refund(tx, key)))

    async def _reply(self, call: Coroutine[Any, Any, T]) -> T:
        try:
            async with asyncio.timeout(self._timeout):
                return await call
        except TimeoutError:
            raise ProviderUnavailable(f"No reply within {self._timeout:g} s.") from None
        except DatabaseUnavailable:
            raise ProviderUnavailable("The provider cannot be reached.") from None

    async def _charge(self, tx: Transaction, key: str, amount: Decimal, token: str) -> Answer:
        held = await self._look_up(tx, key)
        if held is not Answer.UNKNOWN:
            return held
        if token == DECLINED:
            await self._hold(tx, key, Answer.DECLINED, NOTHING)
            return Answer.DECLINED
        await self._hold(tx, key, Answer.CAPTURED, amount)
        await self._move(tx, key, Answer.CAPTURED, amount)
        return Answer.CAPTURED

    async def _look_up(self, tx: Transaction, key: str) -> Answer:
        state = (await tx.connection.execute(_LOOK_UP, {"wanted": key})).scalar()
        if state is None:
            return Answer.UNKNOWN
        return Answer.VOIDED if state == REFUNDED else Answer(state)

    async def _refund(self, tx: Transaction, key: str) -> Settlement:
        row = (await tx.connection.execute(_LOOK_UP, {"wanted": key})).one_or_none()
        if row is None:
            # Nothing arrived yet, and a charge that is still on its way must find the door closed.
            await self._hold(tx, key, Answer.VOIDED, NOTHING)
            return Settlement(NOTHING, NOTHING)
        if row.state == Answer.CAPTURED:
            await tx.connection.execute(update(holdings).where(holdings.c.key == key).values(state=REFUNDED))
            await self._move(tx, key, REFUNDED, row.amount)
        return Settlement(row.amount, row.amount)

    async def _hold(self, tx: Transaction, key: str, state: str, amount: Decimal) -> None:
        await tx.connection.execute(insert(holdings), {"key": key, "state": state, "amount": amount})

    async def _move(self, tx: Transaction, key: str, kind: str, amount: Decimal) -> None:
        await tx.connection.execute(
            insert(movements), {"key": key, "kind": kind, "amount": amount, "at": tx.now}
        )
