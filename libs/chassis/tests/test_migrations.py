"""Tables come with the service: once, also when replicas start together, and as the code expects them."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import pytest
from pizzeria_chassis import tables
from pizzeria_chassis.database import Database
from pizzeria_chassis.letters import letters
from pizzeria_chassis.migrations import differences, migrate
from pizzeria_chassis.transaction import Transaction
from pizzeria_contracts.events import OrderReady
from sqlalchemy import Column, MetaData, String, Table, func, inspect, select, text
from sqlalchemy.exc import StatementError


@pytest.fixture(autouse=True)
def _shop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))


def _tables() -> tuple[MetaData, Table]:
    from importlib import import_module

    module = import_module("shop.tables")
    return module.metadata, module.visits


@pytest.fixture
def replicas(database_url: str, open_database: Callable[..., Database]) -> list[Database]:
    return [open_database(database_url) for _ in range(3)]


async def test_replicas_that_start_together_migrate_once(replicas: list[Database]) -> None:
    await asyncio.gather(*(migrate(replica, "shop") for replica in replicas))
    await migrate(replicas[0], "shop")
    metadata, _ = _tables()
    assert await differences(replicas[0], [metadata]) == []


async def test_a_table_that_no_migration_made_is_a_difference(replicas: list[Database]) -> None:
    await migrate(replicas[0], "shop")
    metadata, _ = _tables()
    forgotten = MetaData()
    Table("forgotten", forgotten, Column("id", String(1), primary_key=True))
    assert len(await differences(replicas[0], [metadata, forgotten])) == 1


async def test_a_migration_that_fails_leaves_nothing(
    replicas: list[Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise RuntimeError("half way")

    monkeypatch.setattr("alembic.op.create_table", lambda *_: broken())
    with pytest.raises(RuntimeError, match="half way"):
        await migrate(replicas[0], "shop")
    async with replicas[0].connect(replicas[0].engines.reader) as connection:
        tables = await connection.run_sync(lambda sync: inspect(sync).get_table_names())
    assert "outbox" not in tables


@pytest.mark.proves("I9")
async def test_a_database_of_version_1_keeps_its_dead_events(replicas: list[Database]) -> None:
    """They died before letters were kept in SQL: operators must see them all the same."""
    database = replicas[0]
    await migrate(database, "shop")
    async with database.connect(database.engines.writer) as connection, connection.begin():
        await connection.run_sync(lambda sync: tables.metadata.drop_all(sync, tables=list(tables.ADDED)))
        await connection.execute(text("DELETE FROM alembic_version WHERE version_num = 'chassis_0001'"))
        for number, status in enumerate(("applied", "dead")):
            row = {"stream": "kitchen.events", "event_id": f"e-{number}", "position": number + 1}
            at = datetime(2026, 11, 21, tzinfo=UTC)
            await connection.execute(tables.inbox.insert().values(**row, status=status, at=at))
    await migrate(database, "shop")
    metadata, _ = _tables()
    assert await differences(database, [metadata]) == []
    async with database.read() as connection:
        (letter,) = await letters(connection)
    assert (letter.key, letter.state, letter.position) == ("e-1", "waiting", 2)


async def test_columns_mean_the_same_on_both_databases(replicas: list[Database]) -> None:
    database = replicas[0]
    await migrate(database, "shop")
    _, visits = _tables()
    at = datetime(2026, 11, 21, 13, 0, 0, 123456, tzinfo=timezone(timedelta(hours=2)))

    async def work(tx: Transaction) -> None:
        for number, paid in enumerate(("0.10", "0.20", "25.985")):
            await tx.connection.execute(visits.insert().values(id=str(number), at=at, paid=Decimal(paid)))
        await tx.append(OrderReady(), subject="o-1")

    await database.transact(work)
    async with database.read() as connection:
        rows = (await connection.execute(select(visits.c.at, visits.c.paid).order_by(visits.c.id))).all()
        total = (await connection.execute(select(func.sum(visits.c.paid)))).scalar_one()
    assert rows[0].at == at
    assert rows[0].at.tzinfo is UTC
    assert [str(row.paid) for row in rows] == ["0.10", "0.20", "25.99"]
    assert str(total) == "26.29"

    async def naive(tx: Transaction) -> None:
        await tx.connection.execute(visits.insert().values(id="n", at=datetime(2026, 1, 1), paid=Decimal(1)))  # noqa: DTZ001

    with pytest.raises(StatementError, match="without zone"):
        await database.transact(naive)
