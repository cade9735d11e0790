"""Orders in SQL."""

from datetime import datetime
from typing import Any

from sqlalchemy import Row, bindparam, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from kitchen_service.adapters.tables import orders, tickets
from kitchen_service.domain.kitchen_order import KitchenOrder, OrderStatus

# Built once: building a statement costs more than running it.
_LOCK = select(orders).where(orders.c.id == bindparam("wanted")).with_for_update()
_LOCK_OF_TICKET = (
    select(orders)
    .join(tickets, tickets.c.order_id == orders.c.id)
    .where(tickets.c.id == bindparam("wanted"))
    .with_for_update(of=orders)
)
_SAVE = (
    update(orders)
    .where(orders.c.id == bindparam("wanted"))
    .values({column.name: bindparam(column.name) for column in orders.columns})
)


class SqlOrders:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def lock(self, order_id: str) -> KitchenOrder | None:
        row = (await self._connection.execute(_LOCK, {"wanted": order_id})).one_or_none()
        return None if row is None else order_from(row)

    async def lock_of_ticket(self, ticket_id: str) -> KitchenOrder | None:
        row = (await self._connection.execute(_LOCK_OF_TICKET, {"wanted": ticket_id})).one_or_none()
        return None if row is None else order_from(row)

    async def last_estimates(self, limit: int) -> list[tuple[datetime, datetime]]:
        query = (
            select(orders.c.estimated_ready_at, orders.c.ready_at)
            .where(orders.c.ready_at.is_not(None), orders.c.estimated_ready_at.is_not(None))
            .order_by(orders.c.ready_at.desc())
            .limit(limit)
        )
        return [(estimated, ready) for estimated, ready in await self._connection.execute(query)]

    async def add(self, order: KitchenOrder) -> None:
        await self._connection.execute(insert(orders), _values(order))

    async def save(self, order: KitchenOrder) -> None:
        await self._connection.execute(_SAVE, {"wanted": order.id, **_values(order)})


def order_from(row: Row[Any]) -> KitchenOrder:
    return KitchenOrder(
        id=row.id,
        status=OrderStatus(row.status),
        created_at=row.created_at,
        estimated_ready_at=row.estimated_ready_at,
        driver_id=row.driver_id,
        ready_at=row.ready_at,
        departed_at=row.departed_at,
        arrived_at=row.arrived_at,
    )


def _values(order: KitchenOrder) -> dict[str, Any]:
    return {
        "id": order.id,
        "status": order.status.value,
        "created_at": order.created_at,
        "estimated_ready_at": order.estimated_ready_at,
        "driver_id": order.driver_id,
        "ready_at": order.ready_at,
        "departed_at": order.departed_at,
        "arrived_at": order.arrived_at,
    }
