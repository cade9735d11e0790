"""Rebuilds of the projections as facts: asked for, under way, done. One at a time."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any, NamedTuple

from pizzeria_chassis.database import Database
from pizzeria_chassis.ids import new_id
from pizzeria_chassis.transaction import Transaction
from sqlalchemy import Insert, Row, select, update
from sqlalchemy.dialects import postgresql, sqlite

from analytics_service.picture import Difference, Differences
from analytics_service.tables import rebuilds


class Rebuild(NamedTuple):
    """`compared` is None when there was nothing to compare with, False when comparing took too long."""

    id: str
    reason: str
    requested_at: datetime
    finished_at: datetime | None
    compared: bool | None
    differences: Differences


class Rebuilds:
    """Those of one layout. Raises: DatabaseUnavailable."""

    def __init__(self, database: Database, layout: int) -> None:
        self._database = database
        self._layout = layout
        self._open = select(rebuilds).where(rebuilds.c.finished_at.is_(None), rebuilds.c.layout == layout)

    async def request(self, reason: str) -> Rebuild:
        """Ask for a rebuild; when one is under way, that is the one. One transaction."""

        async def work(tx: Transaction) -> Rebuild:
            values = {
                "id": new_id(),
                "layout": self._layout,
                "reason": reason,
                "requested_at": tx.now,
                "differences": "{}",
            }
            await tx.connection.execute(_insert_first(tx.connection.dialect.name).values(values))
            return _rebuild((await tx.connection.execute(self._open)).one())

        return await self._database.transact(work)

    async def open(self) -> Rebuild | None:
        """What is under way. One statement."""
        async with self._database.read() as connection:
            row = (await connection.execute(self._open)).one_or_none()
        return _rebuild(row) if row else None

    async def find(self, rebuild_id: str) -> Rebuild | None:
        """One statement."""
        query = select(rebuilds).where(rebuilds.c.id == rebuild_id)
        async with self._database.read() as connection:
            row = (await connection.execute(query)).one_or_none()
        return _rebuild(row) if row else None

    async def latest(self, limit: int) -> Sequence[Rebuild]:
        """Newest first. One statement."""
        query = select(rebuilds).order_by(rebuilds.c.requested_at.desc(), rebuilds.c.id.desc()).limit(limit)
        async with self._database.read() as connection:
            return [_rebuild(row) for row in await connection.execute(query)]

    async def note(self, rebuild_id: str, compared: bool | None, differences: Differences) -> None:
        """Write down what a comparison found, before it is acted upon. One transaction."""
        await self._update(rebuild_id, compared=compared, differences=json.dumps(asdict(differences)))

    async def finish(self, rebuild_id: str) -> None:
        """Its generation is live. One transaction."""
        await self._update(rebuild_id, finished_at=self._database.clock.now())

    async def _update(self, rebuild_id: str, **values: Any) -> None:
        async def work(tx: Transaction) -> None:
            unfinished = (rebuilds.c.id == rebuild_id) & rebuilds.c.finished_at.is_(None)
            await tx.connection.execute(update(rebuilds).where(unfinished).values(values))

        await self._database.transact(work)


def _insert_first(dialect: str) -> Insert:
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    return insert(rebuilds).on_conflict_do_nothing()


def _rebuild(row: Row[Any]) -> Rebuild:
    found = json.loads(row.differences)
    differences = Differences(
        found.get("count", 0), tuple(Difference(**one) for one in found.get("examples", []))
    )
    return Rebuild(row.id, row.reason, row.requested_at, row.finished_at, row.compared, differences)
