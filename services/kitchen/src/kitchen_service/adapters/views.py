"""What the kitchen shows: queries straight from SQL, so they answer without Redis too."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pizzeria_chassis.columns import UtcDateTime
from pizzeria_chassis.database import Database
from rediscore.clock import Clock
from sqlalchemy import ColumnElement, Row, Select, literal, select, tuple_

from kitchen_service.adapters.books import SqlBooks
from kitchen_service.adapters.orders import order_from
from kitchen_service.adapters.pantry import stock_from
from kitchen_service.adapters.tables import orders, stations, stock, ticket_history, tickets
from kitchen_service.adapters.tickets import held, ticket_from
from kitchen_service.domain.estimate import typical_cooking
from kitchen_service.domain.kitchen_order import KitchenOrder, OrderStatus
from kitchen_service.domain.station import Station
from kitchen_service.domain.stock import Stock
from kitchen_service.domain.ticket import Ticket, TicketStatus
from kitchen_service.use_cases.accept_order import MEASURED

Mark = tuple[datetime, str]
"""Where a page ends: the time that it is sorted by, and the id."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How many pizzas are cooked at once, and how long one takes; what estimates are made of."""

    places: int
    cooking: timedelta


class Views:
    """Each call is one transaction that only reads."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def queue(self, limit: int, after: Mark | None) -> list[Ticket]:
        """Waiting tickets, the next to be cooked first."""
        query = select(tickets).where(tickets.c.status == TicketStatus.QUEUED)
        return [
            ticket_from(row) for row in await self._page(query, tickets.c.rank, tickets.c.id, limit, after)
        ]

    async def stations(self) -> list[tuple[Station, list[Ticket]]]:
        """All stations with what they hold now."""
        async with self._database.read() as session:
            rows = await session.execute(
                select(tickets).where(held(self._clock.now())).order_by(tickets.c.id)
            )
            cooking = [ticket_from(row) for row in rows]
            places = await session.execute(select(stations).order_by(stations.c.id))
            return [
                (Station(row.id, row.capacity), [t for t in cooking if t.station_id == row.id])
                for row in places
            ]

    async def inventory(self) -> list[Stock]:
        async with self._database.read() as session:
            return [
                stock_from(row) for row in await session.execute(select(stock).order_by(stock.c.ingredient))
            ]

    async def history(self, order_id: str, after: int, limit: int) -> Sequence[Row[Any]]:
        """What happened to the tickets of an order, as it was written down."""
        query = select(ticket_history).where(
            ticket_history.c.order_id == order_id, ticket_history.c.id > after
        )
        async with self._database.read() as session:
            return (await session.execute(query.order_by(ticket_history.c.id).limit(limit))).all()

    async def pace(self) -> Pace:
        """How fast the kitchen is."""
        async with self._database.read() as session:
            books = SqlBooks(session, self._clock.now())
            return Pace(
                places=await books.stations.places(),
                cooking=typical_cooking(await books.tickets.last_cooking_times(MEASURED)),
            )

    async def deliveries(
        self, statuses: Collection[OrderStatus], limit: int, after: Mark | None
    ) -> list[KitchenOrder]:
        """Orders that are cooked, the first that was ready first."""
        query = select(orders).where(orders.c.status.in_(statuses), orders.c.ready_at.is_not(None))
        return [
            order_from(row) for row in await self._page(query, orders.c.ready_at, orders.c.id, limit, after)
        ]

    async def _page(
        self,
        query: Select[Any],
        by: ColumnElement[datetime],
        key: ColumnElement[str],
        limit: int,
        after: Mark | None,
    ) -> list[Any]:
        if after is not None:
            time, name = after
            query = query.where(tuple_(by, key) > tuple_(literal(time, UtcDateTime), literal(name)))
        async with self._database.read() as session:
            return list(await session.execute(query.order_by(by, key).limit(limit)))
