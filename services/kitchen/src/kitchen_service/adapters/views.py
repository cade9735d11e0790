"""What the kitchen shows: queries straight from SQL, so they answer without Redis too."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pizzeria_chassis.columns import UtcDateTime
from pizzeria_chassis.database import Database
from rediscore.clock import Clock
from sqlalchemy import ColumnElement, Row, Select, literal, select, tuple_

from kitchen_service.adapters.books import SqlBooks, station_from
from kitchen_service.adapters.orders import SqlOrders, order_from
from kitchen_service.adapters.pantry import stock_from
from kitchen_service.adapters.tables import orders, recipes, stations, stock, ticket_history, tickets
from kitchen_service.adapters.tickets import held, ticket_from
from kitchen_service.domain.estimate import MEASURED, Accuracy, accuracy, at_work, typical_cooking
from kitchen_service.domain.kitchen_order import KitchenOrder, OrderStatus
from kitchen_service.domain.recipes import RECIPES, Recipe, recipe_for
from kitchen_service.domain.station import Station
from kitchen_service.domain.stock import Stock
from kitchen_service.domain.ticket import Ticket, TicketStatus

Promised = tuple[Ticket, datetime | None]
"""A ticket, and when its guest was told that the order would be ready."""

Mark = tuple[datetime, str]
"""Where a page ends: the time that it is sorted by, and the id."""


ESTIMATES = 100
"""The error of the estimates is the mean over so many orders."""


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

    async def queue(self, limit: int, after: Mark | None) -> list[Promised]:
        """Waiting tickets, the next to be cooked first."""
        query = _promised().where(tickets.c.status == TicketStatus.QUEUED)
        return [
            (ticket_from(row), row.estimated_ready_at)
            for row in await self._page(query, tickets.c.rank, tickets.c.id, limit, after)
        ]

    async def stations(self) -> list[tuple[Station, list[Promised]]]:
        """All stations with what they hold now."""
        async with self._database.read() as connection:
            rows = await connection.execute(_promised().where(held(self._clock.now())).order_by(tickets.c.id))
            cooking = [(ticket_from(row), row.estimated_ready_at) for row in rows]
            places = await connection.execute(select(stations).order_by(stations.c.id))
            return [
                (station_from(row), [held for held in cooking if held[0].station_id == row.id])
                for row in places
            ]

    async def accuracy(self) -> Accuracy:
        """How the estimates of the last hundred orders compare with what then happened."""
        async with self._database.read() as connection:
            return accuracy(await SqlOrders(connection).last_estimates(ESTIMATES))

    async def recipes(self) -> list[tuple[str, Recipe]]:
        """What goes into the smallest pizza of each kind, by its id."""
        async with self._database.read() as connection:
            told = {row.pizza_id: row.ingredients for row in await connection.execute(select(recipes))}
            return [
                (pizza_id, recipe_for(pizza_id, told.get(pizza_id))) for pizza_id in sorted({*RECIPES, *told})
            ]

    async def inventory(self) -> list[Stock]:
        async with self._database.read() as connection:
            return [
                stock_from(row)
                for row in await connection.execute(select(stock).order_by(stock.c.ingredient))
            ]

    async def history(self, order_id: str, after: int, limit: int) -> Sequence[Row[Any]]:
        """What happened to the tickets of an order, as it was written down."""
        query = select(ticket_history).where(
            ticket_history.c.order_id == order_id, ticket_history.c.id > after
        )
        async with self._database.read() as connection:
            return (await connection.execute(query.order_by(ticket_history.c.id).limit(limit))).all()

    async def pace(self) -> Pace:
        """How fast the kitchen is."""
        async with self._database.read() as connection:
            now = self._clock.now()
            books = SqlBooks(connection, now)
            return Pace(
                places=sum(station.capacity for station in at_work(await books.stations.all(), now)),
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
        async with self._database.read() as connection:
            return list(await connection.execute(query.order_by(by, key).limit(limit)))


def _promised() -> Select[Any]:
    return select(tickets, orders.c.estimated_ready_at).join(orders, orders.c.id == tickets.c.order_id)
