"""Orders in SQL: load, change and save as one transaction, with the events that tell of it."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from pizzeria_chassis.conflicts import Conflict
from pizzeria_chassis.database import Database
from pizzeria_chassis.telemetry import current_trace_id
from pizzeria_chassis.transaction import Transaction
from pizzeria_contracts.events import Payload, PaymentCaptured, PaymentDeclined, PaymentRefunded
from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from order_service.adapters.order_rows import as_changes, as_order, as_row
from order_service.adapters.sql_cart_ids import spend_cart
from order_service.adapters.sql_journey import read_journey
from order_service.adapters.sql_mailbox import remember
from order_service.adapters.tables import idempotency, journey, orders, payments
from order_service.domain.errors import KeyTaken, UnknownGuest, UnknownOrder
from order_service.domain.notices import Notice, notice_of
from order_service.domain.order import Order
from order_service.domain.records import JourneyEntry, OrderFilter, StoredAnswer
from order_service.domain.saga import Step

# Built once: building a statement costs more than running it.
_GET = select(orders).where(orders.c.id == bindparam("wanted"))
_LOCK = _GET.with_for_update()
_ADD = insert(orders)
# Sets the columns that it is executed with.
_CHANGE = (
    update(orders)
    .where(orders.c.id == bindparam("wanted"), orders.c.version == bindparam("seen"))
    .returning(orders.c.id)
)
_ANSWER = select(idempotency).where(
    idempotency.c.customer_id == bindparam("customer"),
    idempotency.c.key == bindparam("wanted"),
    idempotency.c.expires_at > bindparam("now"),
)
_FORGET_ANSWER = delete(idempotency).where(
    idempotency.c.customer_id == bindparam("customer"),
    idempotency.c.key == bindparam("wanted"),
    idempotency.c.expires_at <= bindparam("now"),
)

_MOVEMENTS: dict[type[Payload], str] = {
    PaymentCaptured: "captured",
    PaymentRefunded: "refunded",
    PaymentDeclined: "declined",
}


class SqlOrders:
    """See `use_cases.ports.Orders`. Listeners hear of every committed change, with the order as saved."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._listeners: list[Callable[[Order], None]] = []
        self._tellers: list[Callable[[str, Notice], None]] = []

    def on_saved(self, listener: Callable[[Order], None]) -> None:
        """Call `listener` after each commit that changed an order. It must not block."""
        self._listeners.append(listener)

    def on_notice(self, teller: Callable[[str, Notice], None]) -> None:
        """Call `teller` with the order's id after each commit that its guest is to be told of. It must not
        block."""
        self._tellers.append(teller)

    async def get(self, order_id: str) -> Order | None:
        async with self._database.read() as connection:
            row = (await connection.execute(_GET, {"wanted": order_id})).one_or_none()
        return None if row is None else as_order(row)

    async def find(self, wanted: OrderFilter) -> Sequence[Order]:
        query = select(orders).order_by(orders.c.id.desc()).limit(wanted.limit)
        for column, value in (
            (orders.c.customer_id, wanted.customer_id),
            (orders.c.status, wanted.status),
            (orders.c.payment_status, wanted.payment),
        ):
            if value is not None:
                query = query.where(column == value)
        if wanted.after is not None:
            query = query.where(orders.c.id < wanted.after)
        async with self._database.read() as connection:
            return [as_order(row) for row in await connection.execute(query)]

    async def journey(self, order_id: str) -> Sequence[JourneyEntry]:
        async with self._database.read() as connection:
            return await read_journey(connection, order_id)

    async def due(self, now: datetime, steps: Sequence[Step], limit: int) -> Sequence[str]:
        query = (
            select(orders.c.id)
            .where(orders.c.saga_due_at <= now, orders.c.saga_step.in_(steps))
            .order_by(orders.c.saga_due_at)
            .limit(limit)
        )
        async with self._database.read() as connection:
            return list((await connection.execute(query)).scalars())

    async def answer_to(self, customer_id: str, key: str) -> StoredAnswer | None:
        wanted = {"customer": customer_id, "wanted": key, "now": self._database.clock.now()}
        async with self._database.read() as connection:
            row = (await connection.execute(_ANSWER, wanted)).one_or_none()
        return None if row is None else StoredAnswer(**row._mapping)

    async def add(self, order: Order, answer: StoredAnswer | None, cart_id: str | None) -> None:
        async def work(tx: Transaction) -> None:
            if answer is not None:
                await self._keep_answer(tx, answer)
            if cart_id is not None:
                await spend_cart(tx, order.customer_id, cart_id)
            try:
                await tx.connection.execute(_ADD, as_row(order))
            except IntegrityError as error:
                raise UnknownGuest from error  # deleted while ordering
            await self._publish(tx, order)

        await self._database.transact(work)

    async def change(self, order_id: str, change: Callable[[Order], None]) -> Order:
        return await self._database.transact(lambda tx: self.change_in(tx, order_id, change))

    async def change_in(self, tx: Transaction, order_id: str, change: Callable[[Order], None]) -> Order:
        row = (await tx.connection.execute(_LOCK, {"wanted": order_id})).one_or_none()
        if row is None:
            raise UnknownOrder
        before = as_order(row)
        order = replace(before, payment=replace(before.payment), happened=[], noted=[])
        change(order)
        if order == before:
            return order
        if replace(order, noted=[]) != before:
            order.version += 1
            await self._update(tx, order)
        await self._publish(tx, order)
        await self._tell_guest(tx, order.id, notice_of(before, order))
        return order

    async def _update(self, tx: Transaction, order: Order) -> None:
        # The row lock (PostgreSQL) or the single writer (SQLite) makes this certain; the version says so.
        changed = await tx.connection.execute(
            _CHANGE, {"wanted": order.id, "seen": order.version - 1, **as_changes(order)}
        )
        if changed.one_or_none() is None:
            raise Conflict("Somebody else changed this order meanwhile.")

    async def _publish(self, tx: Transaction, order: Order) -> None:
        moved = [
            {"order_id": order.id, "kind": _MOVEMENTS[type(event)], "amount": event.amount, "at": tx.now}
            for event in order.happened
            if isinstance(event, (PaymentCaptured, PaymentRefunded, PaymentDeclined))
        ]
        if moved:
            await tx.connection.execute(insert(payments), moved)
        for event in order.happened:
            await tx.append(event, subject=order.id)
        if order.noted:
            lines = [
                {
                    "order_id": order.id,
                    "time": note.time,
                    "type": note.type,
                    "source": note.source or self._database.source,
                    "trace_id": note.traceparent.split("-")[1] if note.traceparent else current_trace_id(),
                    "detail": dict(note.detail),
                }
                for note in order.noted
            ]
            await tx.connection.execute(insert(journey), lines)

        async def tell() -> None:
            for listener in self._listeners:
                listener(order)

        tx.after_commit(tell)

    async def _tell_guest(self, tx: Transaction, order_id: str, notice: Notice | None) -> None:
        if notice is None:
            return
        await remember(tx, order_id, notice)

        async def tell() -> None:
            for teller in self._tellers:
                teller(order_id, notice)

        tx.after_commit(tell)

    async def _keep_answer(self, tx: Transaction, answer: StoredAnswer) -> None:
        # A key that has run out may be used again.
        await tx.connection.execute(
            _FORGET_ANSWER, {"customer": answer.customer_id, "wanted": answer.key, "now": tx.now}
        )
        try:
            await tx.connection.execute(insert(idempotency), vars(answer))
        except IntegrityError as error:
            raise KeyTaken("Another request with this Idempotency-Key was faster.") from error
