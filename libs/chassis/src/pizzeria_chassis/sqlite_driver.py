"""aiosqlite with one trip to its thread per statement.

Through SQLAlchemy, aiosqlite goes to its thread four times for a query: to make a cursor, to execute, to
fetch, to close; and once more for BEGIN, which here goes along with the first statement. Each trip costs two
context switches, more than most of our statements take.
"""

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import aiosqlite
from sqlalchemy import Connection

__all__ = ["connect", "driver_of"]


async def connect(file: Path, *, timeout: float) -> aiosqlite.Connection:
    """Open ``file``; a lock is waited for at most ``timeout`` seconds."""

    def connector() -> sqlite3.Connection:
        # Without isolation level the driver leaves BEGIN to us.
        return sqlite3.connect(file, timeout=timeout, isolation_level=None, check_same_thread=False)

    connection = _Connection(connector, iter_chunk_size=64)
    # A connection that nobody closed must not keep the process from ending.
    connection._thread.daemon = True
    return await connection


def driver_of(connection: Connection) -> "_Connection":
    """What `connect` has opened, under a connection of SQLAlchemy."""
    driver = connection.connection.driver_connection
    assert isinstance(driver, _Connection)  # noqa: S101 - whoever calls this has opened it
    return driver


class _Connection(aiosqlite.Connection):
    begin_first = ""
    """The BEGIN of a transaction that has had no statement yet."""

    async def cursor(self) -> "_Cursor":  # type: ignore[override]
        return _Cursor(self)

    async def in_thread(self, work: Callable[..., None], *arguments: Any) -> None:
        await self._execute(work, *arguments)  # type: ignore[no-untyped-call]

    async def commit(self) -> None:
        self.begin_first = ""
        if self._conn.in_transaction:
            await super().commit()

    async def rollback(self) -> None:
        # The pool rolls back whatever comes home, also what has just committed.
        self.begin_first = ""
        if self._conn.in_transaction:
            await super().rollback()


class _Cursor:
    """As much of a cursor as SQLAlchemy uses; all rows are fetched by the thread that executes."""

    def __init__(self, connection: _Connection) -> None:
        self._connection = connection
        self._rows: list[Any] = []
        self.description: Any = None
        self.rowcount = -1
        self.lastrowid: int | None = None

    async def execute(self, sql: str, parameters: Sequence[Any] = ()) -> None:
        await self._connection.in_thread(self._run, "execute", sql, parameters)

    async def executemany(self, sql: str, parameters: Sequence[Sequence[Any]]) -> None:
        await self._connection.in_thread(self._run, "executemany", sql, parameters)

    def _run(self, verb: str, sql: str, parameters: Sequence[Any]) -> None:
        cursor = self._connection._conn.cursor()
        try:
            if begin := self._connection.begin_first:
                cursor.execute(begin)
                self._connection.begin_first = ""
            getattr(cursor, verb)(sql, parameters)
            self.description = cursor.description
            if self.description is not None:
                self._rows = cursor.fetchall()
            self.rowcount, self.lastrowid = cursor.rowcount, cursor.lastrowid
        finally:
            cursor.close()

    async def fetchall(self) -> list[Any]:
        return self._rows

    async def close(self) -> None:
        return
