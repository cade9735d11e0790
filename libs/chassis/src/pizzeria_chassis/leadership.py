"""Which replica runs the relay: decided by the database, because that is what they share (ADR 0032)."""

import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, Protocol

from sqlalchemy import delete, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from pizzeria_chassis.conflicts import unavailable_errors
from pizzeria_chassis.database import Database
from pizzeria_chassis.errors import DatabaseUnavailable
from pizzeria_chassis.ids import new_id
from pizzeria_chassis.tables import relay_lead

__all__ = ["Leadership", "leadership_for"]

RELAY_LOCK: Final = 6_073_022
SILENCE_SECONDS: Final = 10
TERM: Final = timedelta(seconds=3)


class Leadership(Protocol):
    """The right to do something that one process at a time may do."""

    async def acquire(self) -> bool:
        """Return whether this holder leads, trying to if it does not. Never waits for another holder."""
        ...

    def begin(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """Open a transaction that can commit only while this holder leads."""
        ...

    async def confirm(self) -> None:
        """Raise DatabaseUnavailable when the lead is lost. At least every few seconds while leading."""
        ...

    async def release(self) -> None:
        """Let another lead; also after an error, when it is unclear whether this holder still does."""
        ...


def leadership_for(database: Database) -> Leadership:
    if database.engines.file is not None:
        return _FileLeadership(database, database.engines.file)
    return _SessionLeadership(database)


class _FileLeadership:
    """A term in a row of the SQLite database, and a lock on a file beside it.

    Positions are given in transactions that check the row, so whoever lost the lead cannot commit. The
    file's lock only makes it quick: the kernel frees it the moment the holder dies, and whoever gets it need
    not wait until the term runs out. A holder that is paused keeps the file's lock and loses the term.
    """

    def __init__(self, database: Database, file: Path) -> None:
        self._database = database
        self._path = file.with_name(f"{file.name}.relay.lock")
        self._holder = new_id()
        self._descriptor: int | None = None

    async def acquire(self) -> bool:
        locked = self._lock()
        async with self._database.read() as session:
            if not self._is_free((await session.execute(select(relay_lead))).one_or_none(), locked=locked):
                self._unlock()
                return False
        async with self._write() as connection:
            if not self._is_free((await connection.execute(select(relay_lead))).one_or_none(), locked=locked):
                self._unlock()
                return False
            await connection.execute(delete(relay_lead))
            term = {"id": 1, "holder": self._holder, "locked": locked, "until": self._end_of_term()}
            await connection.execute(insert(relay_lead).values(term))
        return True

    def _is_free(self, row: Any, *, locked: bool) -> bool:
        return (
            row is None
            or row.holder == self._holder
            or (locked and row.locked)  # the holder had this lock: it has died or stepped down
            or row.until <= self._database.clock.now()
        )

    def _end_of_term(self) -> datetime:
        return self._database.clock.now() + TERM

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncConnection]:
        async with self._write() as connection:
            extended = await connection.execute(
                update(relay_lead)
                .where(relay_lead.c.holder == self._holder)
                .values(until=self._end_of_term(), locked=self._lock())
            )
            if extended.rowcount == 0:
                raise DatabaseUnavailable("The relay's term ran out, and another replica leads.")
            yield connection

    @asynccontextmanager
    async def _write(self) -> AsyncIterator[AsyncConnection]:
        async with (
            self._database.connect(self._database.engines.writer) as connection,
            connection.begin(),
        ):
            yield connection

    async def confirm(self) -> None:
        async with self.begin():
            pass

    async def release(self) -> None:
        self._unlock()

    def _lock(self) -> bool:
        """Take the lock on the file, if nobody has it; returns whether it is ours."""
        if self._descriptor is None:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                # flock belongs to this open file, so two relays of one process exclude each other as well.
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                return False
            self._descriptor = descriptor
        return True

    def _unlock(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


class _SessionLeadership:
    """An advisory lock of a PostgreSQL session.

    The relay's transactions run in that same session: when the session is lost, so are the lock and the
    transaction. The server ends the session of a leader that says nothing for 10 s, so a paused process does
    not lead for ever.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connection: AsyncConnection | None = None
        self._leads = False

    async def acquire(self) -> bool:
        if self._leads:
            return True
        if self._connection is None:
            self._connection = await self._database.open(self._database.engines.writer)
        try:
            with unavailable_errors():
                self._leads = await self._try_lock(self._connection)
        except BaseException:
            await self.release()
            raise
        return self._leads

    async def _try_lock(self, connection: AsyncConnection) -> bool:
        async with connection.begin():
            await connection.execute(text(f"SET idle_session_timeout = '{SILENCE_SECONDS}s'"))
            locked = await connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": RELAY_LOCK})
            return bool(locked.scalar())

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncConnection]:
        # SQLAlchemy would reconnect a lost connection by itself, without the lock.
        if self._connection is None or not self._leads or self._connection.invalidated:
            raise DatabaseUnavailable("The relay's session is lost, and the lead with it.")
        with unavailable_errors():
            async with self._connection.begin():
                yield self._connection

    async def confirm(self) -> None:
        async with self.begin() as connection:
            await connection.execute(text("SELECT 1"))

    async def release(self) -> None:
        connection, self._connection, self._leads = self._connection, None, False
        if connection is not None:
            # Ends the session instead of pooling it, which frees the lock even when the server is in doubt.
            await connection.invalidate()
            await connection.close()
