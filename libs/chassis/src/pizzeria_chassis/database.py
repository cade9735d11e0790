"""The service's database: whole transactions, reads, and nothing in between."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar

import structlog
from rediscore.clock import Clock, SystemClock
from rediscore.retry import Backoff
from rediscore.streams.event import CloudEvent
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from pizzeria_chassis.conflicts import is_conflict, unavailable_errors
from pizzeria_chassis.engines import POOL_SECONDS, Engines, open_engines
from pizzeria_chassis.errors import DatabaseUnavailable
from pizzeria_chassis.transaction import Hook, Transaction

__all__ = ["Database"]

_log = structlog.get_logger(__name__)
T = TypeVar("T")

OWN_CONSTRAINTS: Final = frozenset({"uq_outbox_sequence", "pk_inbox"})


class Database:
    """SQLite or PostgreSQL behind one set of guarantees.

    Args:
        url: ``sqlite:///file`` or ``postgresql://…``.
        source: the CloudEvents source of events appended here, such as ``/pizzeria/order``.
        retriable_constraints: names of unique constraints that only a race can violate; a transaction
            that hits one runs again.
    """

    def __init__(
        self,
        url: str,
        *,
        source: str,
        retriable_constraints: Collection[str] = (),
        clock: Clock | None = None,
        attempts: int = 8,
        backoff: Backoff | None = None,
    ) -> None:
        self.engines: Engines = open_engines(url)
        self.source = source
        self.clock = clock or SystemClock()
        self._constraints = OWN_CONSTRAINTS | frozenset(retriable_constraints)
        self._attempts = attempts
        self._backoff = backoff or Backoff(0.005, 0.2)
        self._listeners: list[Callable[[], None]] = []
        self.transactions = {"read": 0, "write": 0}
        """Begun so far, the relay's and those that were rolled back included."""

    def on_events_committed(self, listener: Callable[[], None]) -> None:
        """Call ``listener`` after each commit that appended events; the relay uses it as a nudge."""
        self._listeners.append(listener)

    async def transact(
        self, work: Callable[[Transaction], Awaitable[T]], *, cause: CloudEvent[Any] | None = None
    ) -> T:
        """Run ``work`` in one transaction and commit it.

        On a conflict with others (serialization, deadlock, stale version, a retriable constraint,
        ``Conflict``) everything is rolled back and ``work`` runs again, at most ``attempts`` times in all;
        so it must do nothing outside the transaction. SQLite begins IMMEDIATE; PostgreSQL is READ
        COMMITTED, where work takes the row locks it needs. Do not call it inside itself: on SQLite the
        one writer would wait for itself.

        Raises:
            DatabaseUnavailable: out of reach; when the commit was under way its outcome is unknown.
            Exception: whatever ``work`` raises, after rollback.
        """
        attempt = 1
        while True:
            try:
                result, transaction = await self._once(work, cause)
                break
            except Exception as error:
                if not is_conflict(error, self._constraints) or attempt >= self._attempts:
                    raise
                _log.debug("transaction_retried", attempt=attempt, error=type(error).__name__)
            await asyncio.sleep(self._backoff.delay(attempt))
            attempt += 1
        if transaction.has_events:
            for listener in self._listeners:
                listener()
        for hook in transaction.hooks:
            await _run_hook(hook)
        return result

    async def _once(
        self, work: Callable[[Transaction], Awaitable[T]], cause: CloudEvent[Any] | None
    ) -> tuple[T, Transaction]:
        async with (
            self.connect(self.engines.writer) as connection,
            connection.begin(),
        ):
            transaction = Transaction(connection, source=self.source, clock=self.clock, cause=cause)
            result = await work(transaction)
            await transaction.write_outbox()
        return result, transaction

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """Yield a connection that cannot write.

        Raises:
            DatabaseUnavailable: out of reach.
        """
        async with self.connect(self.engines.reader) as connection:
            yield connection

    async def open(self, engine: AsyncEngine) -> AsyncConnection:
        """Return a connection of ``engine``, to be closed by the caller. Raises DatabaseUnavailable."""
        try:
            return await engine.connect()
        except (OSError, DBAPIError, PoolTimeoutError) as error:
            # asyncpg lets socket errors out as they are.
            raise DatabaseUnavailable("The database cannot be reached.") from error

    @asynccontextmanager
    async def connect(self, engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
        """Yield a connection of ``engine``; what says "out of reach" comes out as DatabaseUnavailable."""
        self.transactions["write" if engine is self.engines.writer else "read"] += 1
        async with _slot(self.engines.slots(engine)):
            connection = await self.open(engine)
            try:
                with unavailable_errors():
                    yield connection
            finally:
                await connection.close()

    async def ping(self) -> None:
        """One round trip. Raises DatabaseUnavailable."""
        async with self.read() as connection:
            await connection.execute(text("SELECT 1"))

    async def aclose(self) -> None:
        await self.engines.aclose()


@asynccontextmanager
async def _slot(slots: asyncio.Semaphore) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(POOL_SECONDS):
            await slots.acquire()
    except TimeoutError:
        raise DatabaseUnavailable("The database is too busy; try again later.") from None
    try:
        yield
    finally:
        slots.release()


async def _run_hook(hook: Hook) -> None:
    try:
        await hook()
    except Exception as error:  # noqa: BLE001 - the commit stands; a failed hint must not deny it
        _log.warning("after_commit_failed", exc_info=error)
