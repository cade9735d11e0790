"""The migrations make the tables that the code knows, on both databases, also when two start at once."""

import asyncio

import pytest
from kitchen_service.adapters.tables import metadata, stations, stock
from pizzeria_chassis.database import Database
from pizzeria_chassis.migrations import differences, migrate
from sqlalchemy import func, insert, select
from sqlalchemy.exc import IntegrityError


async def test_migrations_and_tables_agree_and_are_applied_once(database_url: str) -> None:
    replicas = [Database(database_url, source="/test") for _ in range(2)]
    await asyncio.gather(*(migrate(database, "kitchen_service") for database in replicas))
    await migrate(replicas[0], "kitchen_service")
    assert await differences(replicas[0], [metadata]) == []
    async with replicas[0].read() as connection:
        assert (await connection.execute(select(func.count()).select_from(stations))).scalar_one() == 4
        scarce = (await connection.execute(select(stock).where(stock.c.ingredient == "pineapple"))).one()
        assert (scarce.initial, scarce.in_stock) == (40, 40)
    for database in replicas:
        await database.aclose()


@pytest.mark.proves("I4")
async def test_the_database_itself_refuses_a_stock_that_does_not_add_up(database_url: str) -> None:
    database = Database(database_url, source="/test")
    await migrate(database, "kitchen_service")
    nothing = dict.fromkeys(("initial", "restocked", "in_stock", "reserved", "consumed", "low_below"), 0)
    for wrong in ({"in_stock": 1}, {"in_stock": -1, "reserved": 1}):
        with pytest.raises(IntegrityError, match="ck_stock"):
            async with database.engines.writer.begin() as connection:
                await connection.execute(insert(stock).values({"ingredient": "gold", **nothing, **wrong}))
    await database.aclose()
