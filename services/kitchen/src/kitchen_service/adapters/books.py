"""All facts inside one transaction, and the transactions themselves, on the chassis' database."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, TypeVar

from pizzeria_chassis.database import Database
from pizzeria_chassis.transaction import Transaction
from pizzeria_contracts.events import Payload
from rediscore.clock import Clock
from sqlalchemy import Row, Select, bindparam, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from kitchen_service.adapters.orders import SqlOrders
from kitchen_service.adapters.pantry import SqlPantry, SqlRecipes
from kitchen_service.adapters.tables import stations
from kitchen_service.adapters.tickets import SqlTickets
from kitchen_service.domain.station import Skill, Station

T = TypeVar("T")


# Built once: building a statement costs more than running it.
_GET = select(stations).where(stations.c.id == bindparam("wanted"))
_LOCK = _GET.with_for_update()


class SqlStations:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def get(self, station_id: str) -> Station | None:
        return await self._one(_GET, station_id)

    async def lock(self, station_id: str) -> Station | None:
        return await self._one(_LOCK, station_id)

    async def all(self) -> list[Station]:
        return [station_from(row) for row in await self._connection.execute(select(stations))]

    async def save(self, station: Station) -> None:
        values = {
            "id": station.id,
            "capacity": station.capacity,
            "skills": sorted(station.skills),
            "open": station.open,
            "seen_at": station.seen_at,
        }
        known = await self.get(station.id)
        write = insert(stations) if known is None else update(stations).where(stations.c.id == station.id)
        await self._connection.execute(write.values(values))

    async def _one(self, query: Select[Any], station_id: str) -> Station | None:
        row = (await self._connection.execute(query, {"wanted": station_id})).one_or_none()
        return None if row is None else station_from(row)


def station_from(row: Row[Any]) -> Station:
    return Station(
        id=row.id,
        capacity=row.capacity,
        skills=frozenset(map(Skill, row.skills)),
        open=row.open,
        seen_at=row.seen_at,
    )


class SqlBooks:
    """The books of one transaction; they publish only inside a transaction."""

    def __init__(
        self, connection: AsyncConnection, now: datetime, transaction: Transaction | None = None
    ) -> None:
        self.orders = SqlOrders(connection)
        self.tickets = SqlTickets(connection)
        self.stations = SqlStations(connection)
        self.pantry = SqlPantry(connection, now)
        self.recipes = SqlRecipes(connection)
        self._transaction = transaction

    async def publish(self, payload: Payload, *, subject: str) -> None:
        await self._writing().append(payload, subject=subject)

    def after_commit(self, hook: Callable[[], Awaitable[None]]) -> None:
        self._writing().after_commit(hook)

    def _writing(self) -> Transaction:
        if self._transaction is None:
            raise RuntimeError("These books are open for reading only; use Store.transact to write.")
        return self._transaction


def books_of(transaction: Transaction) -> SqlBooks:
    """The books of a transaction that somebody else began: an event's handler."""
    return SqlBooks(transaction.connection, transaction.now, transaction)


class SqlStore:
    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def transact(self, work: Callable[[SqlBooks], Awaitable[T]]) -> T:
        async def on_books(transaction: Transaction) -> T:
            return await work(books_of(transaction))

        return await self._database.transact(on_books)

    async def look(self, work: Callable[[SqlBooks], Awaitable[T]]) -> T:
        async with self._database.read() as connection:
            return await work(SqlBooks(connection, self._clock.now()))
