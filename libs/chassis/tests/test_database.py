"""Transactions: whole or not at all, tried again after a conflict, hooks only after the commit."""

import asyncio
import sqlite3
from collections.abc import Callable

import pytest
import structlog
from pizzeria_chassis.conflicts import Conflict
from pizzeria_chassis.database import Database
from pizzeria_chassis.errors import DatabaseUnavailable, SettingsError
from pizzeria_chassis.tables import outbox
from pizzeria_chassis.testing import create_chassis_tables_now
from pizzeria_chassis.transaction import Transaction
from pizzeria_contracts.events import OrderReady, TicketStarted
from rediscore.testing import eventually
from sqlalchemy import Column, Integer, MetaData, String, Table, func, insert, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError

metadata = MetaData()
counter = Table(
    "counters",
    metadata,
    Column("id", String, primary_key=True),
    Column("value", Integer, nullable=False),
    # Guards the changes of a row.
    Column("version", Integer, nullable=False, default=0),
)


async def put(tx: Transaction, name: str, value: int) -> None:
    await tx.connection.execute(insert(counter), {"id": name, "value": value})


@pytest.fixture
async def counters(database: Database) -> Database:
    async with database.connect(database.engines.writer) as connection, connection.begin():
        await connection.run_sync(metadata.create_all)
    return database


async def _value(database: Database, name: str) -> int | None:
    async with database.read() as connection:
        return (await connection.execute(select(counter.c.value).where(counter.c.id == name))).scalar()


async def test_what_raises_leaves_nothing_behind(counters: Database) -> None:
    called: list[str] = []

    async def hook() -> None:
        called.append("hook")

    async def work(tx: Transaction) -> None:
        await put(tx, "a", 1)
        await tx.append(OrderReady(), subject="o-1")
        tx.after_commit(hook)
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await counters.transact(work)
    assert await _value(counters, "a") is None
    async with counters.read() as connection:
        assert (await connection.execute(select(func.count()).select_from(outbox))).scalar() == 0
    assert called == []


async def test_facts_and_events_commit_together_and_hooks_run_after_it(counters: Database) -> None:
    seen: list[int | None] = []

    async def hook() -> None:
        seen.append(await _value(counters, "a"))

    async def work(tx: Transaction) -> str:
        await put(tx, "a", 1)
        await tx.append(OrderReady(), subject="o-1")
        tx.after_commit(hook)
        return "done"

    assert await counters.transact(work) == "done"
    assert seen == [1]
    async with counters.read() as connection:
        assert (await connection.execute(select(outbox.c.subject))).scalars().all() == ["o-1"]


async def test_a_failing_hook_is_logged_and_does_not_deny_the_commit(counters: Database) -> None:
    ran: list[str] = []

    async def bad() -> None:
        raise RuntimeError("hint lost")

    async def good() -> None:
        ran.append("good")

    async def work(tx: Transaction) -> None:
        await put(tx, "a", 1)
        tx.after_commit(bad)
        tx.after_commit(good)

    with structlog.testing.capture_logs() as logs:
        await counters.transact(work)
    assert await _value(counters, "a") == 1
    assert ran == ["good"]
    assert [line["event"] for line in logs] == ["after_commit_failed"]


@pytest.mark.proves("P5")
async def test_concurrent_changes_of_one_row_all_count(
    counters: Database, open_database: Callable[..., Database], database_url: str
) -> None:
    """Two replicas, each read-modify-write guarded by the version: lost updates would show in the sum."""
    replica = open_database(database_url)

    async def create(tx: Transaction) -> None:
        await put(tx, "a", 0)

    await counters.transact(create)
    runs = 0

    async def add_one(tx: Transaction) -> None:
        nonlocal runs
        runs += 1
        seen = (await tx.connection.execute(select(counter).where(counter.c.id == "a"))).one()
        await asyncio.sleep(0.005)  # so that the other reads meanwhile
        changed = await tx.connection.execute(
            update(counter)
            .where(counter.c.id == "a", counter.c.version == seen.version)
            .values(value=seen.value + 1, version=seen.version + 1)
        )
        if not changed.rowcount:
            raise Conflict

    async def add_ten(database: Database) -> None:
        for _ in range(10):
            await database.transact(add_one)

    await asyncio.gather(add_ten(counters), add_ten(replica))
    assert await _value(counters, "a") == 20
    if counters.engines.flavour == "postgresql":
        assert runs > 20, "nothing collided, so nothing was proved"


async def test_a_conflict_runs_the_work_again_a_bounded_number_of_times(counters: Database) -> None:
    runs = 0

    async def never(tx: Transaction) -> None:
        nonlocal runs
        runs += 1
        raise Conflict

    with pytest.raises(Conflict):
        await counters.transact(never)
    assert runs == 8

    async def third_time(tx: Transaction) -> int:
        nonlocal runs
        runs += 1
        if runs < 11:
            raise Conflict
        return runs

    assert await counters.transact(third_time) == 11


async def test_a_repeated_key_is_an_error_and_not_a_race(counters: Database) -> None:
    async def create(tx: Transaction) -> None:
        await put(tx, "a", 0)

    await counters.transact(create)
    with pytest.raises(IntegrityError):
        await counters.transact(create)


@pytest.mark.proves("I7")
async def test_sequences_of_one_subject_have_no_gap_and_no_repeat_under_concurrency(
    database: Database, open_database: Callable[..., Database], database_url: str
) -> None:
    replica = open_database(database_url)

    async def tell(tx: Transaction) -> None:
        await tx.append(OrderReady(), subject="o-1")
        await asyncio.sleep(0)
        await tx.append(TicketStarted(ticket_id="t", station_id="s"), subject="o-1")

    async def tell_often(one: Database) -> None:
        for _ in range(10):
            await one.transact(tell)

    await asyncio.gather(*(tell_often(one) for one in (database, replica, database)))
    async with database.read() as connection:
        rows = (await connection.execute(select(outbox.c.sequence).order_by(outbox.c.id))).scalars().all()
    assert rows == list(range(1, 61)), "in the order of ids too: the relay sends in that order"


async def test_reads_cannot_write(counters: Database) -> None:
    with pytest.raises(DBAPIError):
        async with counters.read() as connection:
            await connection.execute(text("INSERT INTO counters (id, value, version) VALUES ('a', 1, 1)"))
    assert await _value(counters, "a") is None


async def test_a_cancelled_transaction_leaves_nothing_and_blocks_nobody(counters: Database) -> None:
    inside = asyncio.Event()

    async def slow(tx: Transaction) -> None:
        await put(tx, "a", 1)
        inside.set()
        await asyncio.sleep(60)

    task = asyncio.create_task(counters.transact(slow))
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    async def after(tx: Transaction) -> None:
        await put(tx, "b", 2)

    async with asyncio.timeout(5):
        await counters.transact(after)
    assert (await _value(counters, "a"), await _value(counters, "b")) == (None, 2)


async def test_sqlite_that_stays_locked_is_unavailable(
    sqlite_url: str, open_database: Callable[..., Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pizzeria_chassis.engines.LOCK_SECONDS", 0.1)
    database = open_database(sqlite_url)
    await create_chassis_tables_now(database)
    other = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    async def work(tx: Transaction) -> None:
        await tx.append(OrderReady(), subject="o-1")

    with pytest.raises(DatabaseUnavailable):
        await database.transact(work)
    other.execute("ROLLBACK")
    other.close()
    await database.transact(work)


async def test_sqlite_waits_for_another_process_instead_of_failing(
    sqlite_url: str, open_database: Callable[..., Database]
) -> None:
    database = open_database(sqlite_url)
    await create_chassis_tables_now(database)
    other = sqlite3.connect(
        sqlite_url.removeprefix("sqlite:///"), isolation_level=None, check_same_thread=False
    )
    other.execute("BEGIN IMMEDIATE")
    asyncio.get_running_loop().call_later(0.3, other.execute, "ROLLBACK")

    async def work(tx: Transaction) -> None:
        await tx.append(OrderReady(), subject="o-1")

    async with asyncio.timeout(4):
        await database.transact(work)
    other.close()


async def test_a_database_that_does_not_answer_is_unavailable(open_database: Callable[..., Database]) -> None:
    database = open_database("postgresql://nobody:nothing@127.0.0.1:1/none")
    with pytest.raises(DatabaseUnavailable):
        await database.ping()


async def test_connections_that_the_server_ended_are_replaced(
    postgres_url: str, open_database: Callable[..., Database]
) -> None:
    database = open_database(postgres_url)
    await create_chassis_tables_now(database)
    other = open_database(postgres_url)
    async with other.connect(other.engines.writer) as connection, connection.begin():
        await connection.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE pid <> pg_backend_pid() AND datname = current_database()"
            )
        )
    await database.ping()


@pytest.mark.parametrize(
    "address", ["mysql://a:hunter2@b/c", "sqlite://", "sqlite:///:memory:", "not an address with hunter2"]
)
def test_an_address_that_cannot_be_used_is_refused_without_repeating_it(address: str) -> None:
    with pytest.raises(SettingsError, match="DATABASE_URL") as error:
        Database(address, source="/pizzeria/test")
    assert "hunter2" not in str(error.value)


async def test_a_busy_task_does_not_starve_those_who_wait_for_their_turn(database: Database) -> None:
    turns: list[str] = []

    async def note(name: str) -> None:
        async def work(tx: Transaction) -> None:
            await tx.connection.execute(text("SELECT 1"))
            turns.append(name)

        await database.transact(work)

    async def busy() -> None:
        while "patient" not in turns and len(turns) < 500:
            await note("busy")

    async with asyncio.TaskGroup() as group:
        # As many as there are connections: all are taken whenever the patient one asks.
        for _ in range(database.engines.writer_slots._value):
            group.create_task(busy())
        await eventually(lambda: turns)
        group.create_task(note("patient"))
    assert turns.index("patient") < 60, "everybody waits for those before them, not for those after"
