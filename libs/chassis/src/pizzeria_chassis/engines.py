"""How the two databases are opened: the same guarantees on SQLite and PostgreSQL."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from sqlalchemy import URL, Connection, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool, ConnectionPoolEntry

from pizzeria_chassis.errors import SettingsError
from pizzeria_chassis.sqlite_driver import connect, driver_of

__all__ = ["Engines", "open_engines"]

LOCK_SECONDS: Final = 5
POOL_SECONDS: Final = 5.0
CONNECT_SECONDS: Final = 3.0
STATEMENT_SECONDS: Final = 10.0
POSTGRES_POOL: Final = 10
SQLITE_READERS: Final = 3


@dataclass(frozen=True)
class Engines:
    """``writer`` for transactions, ``reader`` for reads; on PostgreSQL both share one pool.

    Who wants a connection takes a slot first: slots are handed out in order, while a pool gives a free
    connection to whoever asks in that moment, so that a busy task can starve those who wait.
    """

    writer: AsyncEngine
    reader: AsyncEngine
    writer_slots: asyncio.Semaphore
    reader_slots: asyncio.Semaphore
    flavour: Literal["sqlite", "postgresql"]
    file: Path | None
    """The database file of SQLite."""

    def slots(self, engine: AsyncEngine) -> asyncio.Semaphore:
        return self.writer_slots if engine is self.writer else self.reader_slots

    async def aclose(self) -> None:
        await self.reader.dispose()
        await self.writer.dispose()


def open_engines(address: str) -> Engines:
    """Return engines for ``sqlite:///file`` or ``postgresql://user:password@host/name``. No I/O.

    Raises:
        SettingsError: another kind of address. The message does not repeat it: it may hold a password.
    """
    try:
        url = make_url(address)
    except Exception:  # noqa: BLE001 - whatever SQLAlchemy says quotes the address
        raise SettingsError("DATABASE_URL is not an address; use sqlite:///file or postgresql://…") from None
    match url.get_backend_name():
        case "sqlite":
            return _sqlite(url)
        case "postgresql" | "postgres":
            return _postgresql(url)
        case other:
            raise SettingsError(f"DATABASE_URL speaks {other}; use sqlite:///file or postgresql://…")


def _sqlite(url: URL) -> Engines:
    if not url.database or url.database == ":memory:":
        raise SettingsError("DATABASE_URL needs a file for SQLite, such as sqlite:///data/order.db")
    file = Path(url.database).absolute()
    # One writer per process: tasks queue for it in order instead of colliding in the file.
    writer = _sqlite_engine(file, size=1, begin="BEGIN IMMEDIATE", query_only=False)
    reader = _sqlite_engine(file, size=SQLITE_READERS, begin="BEGIN", query_only=True)
    return Engines(
        writer, reader, asyncio.Semaphore(1), asyncio.Semaphore(SQLITE_READERS), flavour="sqlite", file=file
    )


def _sqlite_engine(file: Path, *, size: int, begin: str, query_only: bool) -> AsyncEngine:
    engine = create_async_engine(
        "sqlite+aiosqlite://",
        async_creator=lambda: connect(file, timeout=LOCK_SECONDS),
        poolclass=AsyncAdaptedQueuePool,
        pool_size=size,
        max_overflow=0,
        pool_timeout=POOL_SECONDS,
        hide_parameters=True,
    )

    @event.listens_for(engine.sync_engine, "connect")
    def configure(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        cursor = connection.cursor()
        for pragma in (
            "journal_mode=WAL",
            "synchronous=NORMAL",
            "foreign_keys=ON",
            f"query_only={'ON' if query_only else 'OFF'}",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begin_transaction(connection: Connection) -> None:
        # IMMEDIATE: a transaction that reads first and writes later cannot lose its snapshot halfway.
        driver_of(connection).begin_first = begin

    return engine


def _postgresql(url: URL) -> Engines:
    connect_args: dict[str, Any] = {
        "timeout": CONNECT_SECONDS,
        "command_timeout": STATEMENT_SECONDS,
        "server_settings": {
            "lock_timeout": f"{LOCK_SECONDS}s",
            # A paused process must not keep its row locks for ever.
            "idle_in_transaction_session_timeout": "15s",
            "timezone": "UTC",
        },
    }
    writer = create_async_engine(
        url.set(drivername="postgresql+asyncpg"),
        pool_size=POSTGRES_POOL + 1,
        max_overflow=0,
        pool_timeout=POOL_SECONDS,
        pool_pre_ping=True,
        hide_parameters=True,
        isolation_level="READ COMMITTED",
        connect_args=connect_args,
    )
    reader = writer.execution_options(postgresql_readonly=True)
    # One connection more than slots: the relay keeps one for itself.
    slots = asyncio.Semaphore(POSTGRES_POOL)
    return Engines(writer, reader, slots, slots, flavour="postgresql", file=None)
