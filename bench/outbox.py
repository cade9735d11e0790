"""How many events a second go from database to database, and what each costs: `make bench-outbox`.

In one process, on an embedded Redis of its own, on SQLite and, where a container engine answers or
`--postgres` names an empty database, on PostgreSQL: appending one event per transaction from 20 writers; the
relay draining a backlog; a consumer draining the stream with a handler per event, and with one per batch; and
a consumer catching up from the feed after Redis was wiped. Handlers write a row, as those of a service would.
A read counts as a transaction, too, on SQLite BEGIN as a statement, and what the idle loops do meanwhile is
in the numbers. Prints a table, writes bench/results/outbox.json.
"""

import argparse
import asyncio
import json
import os
import platform
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import structlog
from pizzeria_chassis.consumer import EventConsumer
from pizzeria_chassis.database import Database
from pizzeria_chassis.feed import FeedClient
from pizzeria_chassis.testing import TOKENS
from pizzeria_chassis.testing.events import STARTED, Upstream, effects, prepare
from pizzeria_chassis.testing.relays import all_sent
from pizzeria_chassis.transaction import Transaction
from pizzeria_contracts.events import TicketStarted
from pizzeria_contracts.streams import KITCHEN
from pydantic import SecretStr
from rediscore.client import RedisConnections
from rediscore.embedded import EmbeddedServer
from rediscore.keys import KeySpace
from rediscore.settings import RedisSettings
from rediscore.streams import ReliableStreams
from rediscore.streams.event import CloudEvent
from rediscore.testing import eventually
from rediscore.testing.server import engine_answers
from rich.console import Console
from rich.table import Table
from sqlalchemy import event as sql_event
from sqlalchemy import insert, text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine

RESULTS = Path(__file__).parent / "results" / "outbox.json"
WRITERS = 20
SUBJECTS = 50
PER_TRANSACTION = 250
"""Of the backlog's events, whose appending nobody measures."""
MINUTES = 5 * 60


class Bench:
    """One database flavour and one Redis; `measured` gets a row per stage."""

    def __init__(self, flavour: str, fresh_url: Callable[[], Awaitable[str]], redis: RedisSettings) -> None:
        self.flavour = flavour
        self.measured: dict[str, dict[str, float]] = {}
        self._fresh_url = fresh_url
        self.connections = RedisConnections(redis)
        self._counts: Counter[str] = Counter()

    async def database(self) -> Database:
        """An empty one whose transactions and statements are counted."""
        database = Database(await self._fresh_url(), source="/pizzeria/kitchen")
        await prepare(database)
        for engine in {database.engines.writer.sync_engine, database.engines.reader.sync_engine}:
            sql_event.listen(engine, "begin", lambda _: self._counts.update(transactions=1))
            sql_event.listen(engine, "after_cursor_execute", lambda *_: self._counts.update(statements=1))
        return database

    @asynccontextmanager
    async def stage(self, name: str, events: int) -> AsyncIterator[None]:
        self._counts.clear()
        commands, begun = await self._commands(), time.perf_counter()
        yield
        seconds = time.perf_counter() - begun
        self.measured[name] = {
            "events_per_second": round(events / seconds),
            "sql_transactions_per_event": round(self._counts["transactions"] / events, 3),
            "sql_statements_per_event": round(self._counts["statements"] / events, 3),
            "redis_commands_per_event": round((await self._commands() - commands) / events, 3),
        }

    async def _commands(self) -> int:
        return int((await self.connections.commands.info("stats"))["total_commands_processed"])


async def append(database: Database, events: int) -> None:
    """One event per transaction, of subjects of each writer's own, as orders are."""

    async def write(writer: int) -> None:
        for number in range(events // WRITERS):

            async def work(tx: Transaction, number: int = number) -> None:
                await tx.append(STARTED, subject=f"o-{writer}-{number % SUBJECTS}")

            await database.transact(work)

    await asyncio.gather(*(write(writer) for writer in range(WRITERS)))


async def back_up(database: Database, events: int) -> None:
    """Commit a backlog."""
    for first in range(0, events, PER_TRANSACTION):

        async def work(tx: Transaction, first: int = first) -> None:
            for number in range(first, min(first + PER_TRANSACTION, events)):
                await tx.append(STARTED, subject=f"o-{number % SUBJECTS}")

        await database.transact(work)


async def consumed(bench: Bench, upstream: Upstream, name: str, events: int, *, batch: bool = False) -> None:
    """Measure a new consumer from its start until the last effect is committed."""
    database, done, applied = await bench.database(), asyncio.Event(), 0
    streams = ReliableStreams(bench.connections, group=name, keys=KeySpace(name))
    feed = FeedClient("http://kitchen", SecretStr(TOKENS["service"]), transport=upstream.transport())
    consumer = EventConsumer(database=database, streams=streams, stream=KITCHEN, feed=feed)

    async def note(tx: Transaction, told: Sequence[CloudEvent[Any]]) -> None:
        async def count() -> None:
            nonlocal applied
            applied += len(told)
            if applied == events:
                done.set()

        rows = [
            {"event_id": e.id, "subject": e.subject, "sequence": e.sequence, "position": e.position}
            for e in told
        ]
        await tx.connection.execute(insert(effects), rows)
        tx.after_commit(count)

    async def one(tx: Transaction, told: CloudEvent[TicketStarted]) -> None:
        await note(tx, [told])

    if batch:
        consumer.on_batch(note)
    else:
        consumer.on(TicketStarted)(one)
        consumer.ignore_rest()
    async with bench.stage(name, events), asyncio.timeout(MINUTES):
        await streams.start()
        await consumer.start()
        await done.wait()
    await consumer.stop()
    await streams.stop(2.0)
    await database.aclose()


async def measure(bench: Bench, events: int) -> None:
    database = await bench.database()
    async with bench.stage("append", events):
        await append(database, events)
    await database.aclose()

    database = await bench.database()
    await back_up(database, events)
    upstream = Upstream(database, bench.connections)
    async with bench.stage("relay", events):
        await upstream.relay.start()
        await eventually(lambda: all_sent(database), within=MINUTES, every=0.05)
    await upstream.relay.stop()
    await consumed(bench, upstream, "consumer", events)
    await consumed(bench, upstream, "batch-consumer", events, batch=True)
    await bench.connections.commands.flushdb()
    await consumed(bench, upstream, "catch-up", events)
    await consumed(bench, upstream, "batch-catch-up", events, batch=True)
    await database.aclose()


@contextmanager
def postgres_server(given: str | None) -> Iterator[str | None]:
    """The address of a server, None where there is none."""
    if given is not None or not engine_answers():
        yield given
        return
    from testcontainers.community.postgres import PostgresContainer

    with PostgresContainer("postgres:17-alpine", driver=None) as container:
        yield container.get_connection_url()


async def fresh_on(server: str) -> str:
    """Make an empty database on a PostgreSQL server."""
    name = f"bench_{uuid4().hex[:12]}"
    admin = create_async_engine(
        make_url(server).set(drivername="postgresql+asyncpg"), isolation_level="AUTOCOMMIT"
    )
    async with admin.connect() as connection:
        await connection.execute(text(f"CREATE DATABASE {name}"))
    await admin.dispose()
    return make_url(server).set(drivername="postgresql", database=name).render_as_string(False)


async def measure_all(events: int, server: str | None) -> dict[str, dict[str, dict[str, float]]]:
    found = {}
    for flavour in ["sqlite", *(["postgresql"] if server else [])]:
        with tempfile.TemporaryDirectory() as folder, EmbeddedServer(Path(folder) / "redis") as redis:

            async def fresh_url(flavour: str = flavour, folder: str = folder) -> str:
                if flavour == "postgresql":
                    assert server is not None
                    return await fresh_on(server)
                return f"sqlite:///{folder}/{uuid4().hex[:8]}.db"

            bench = Bench(flavour, fresh_url, RedisSettings.from_url(redis.url))
            await measure(bench, events)
            await bench.connections.aclose()
            found[flavour] = bench.measured
    return found


def print_table(databases: dict[str, dict[str, dict[str, float]]], console: Console) -> None:
    table = Table("", "events/s", "SQL transactions", "SQL statements", "Redis commands", title="Per event")
    for flavour, stages in databases.items():
        for name, row in stages.items():
            table.add_row(f"{name}, {flavour}", *(f"{value:g}" for value in row.values()))
    console.print(table)


def main() -> int:
    parser = argparse.ArgumentParser(description="Events per second from database to database.")
    parser.add_argument("--events", type=int, default=5000, help="per stage")
    parser.add_argument("--postgres", default=os.environ.get("TEST_POSTGRES_URL"), help="address of a server")
    chosen = parser.parse_args()
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    load = os.getloadavg()[0]
    with postgres_server(chosen.postgres) as server:
        databases = asyncio.run(measure_all(chosen.events, server))
    print_table(databases, Console())
    cores = os.cpu_count() or 1
    found = {
        "machine": {
            "cores": cores,
            "python": platform.python_version(),
            "system": platform.system(),
            "load_average": round(load, 1),
            "busy": load > cores / 2,  # with others' work: then the rates say little, the costs all the same
        },
        "events": chosen.events,
        "databases": databases,
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(found, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
