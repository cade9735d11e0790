"""The menu's tables, and who writes the first menu."""

import asyncio

from menu_service import tables
from menu_service.bodies import NewPizza
from menu_service.changes import put
from menu_service.pizzas import SIZES, load
from menu_service.preconditions import matching_or_new
from menu_service.seed import seed
from menu_service.stock import note
from pizzeria_chassis.database import Database
from pizzeria_chassis.migrations import differences, migrate
from pizzeria_chassis.transaction import Transaction
from sqlalchemy import func, select

from services.menu.tests.harness import open_menu


async def test_migrations_make_what_the_code_expects(database_url: str) -> None:
    database = Database(database_url, source="/test")
    await migrate(database, "menu_service")
    assert await differences(database, [tables.metadata]) == []
    await database.aclose()


async def test_replicas_that_start_together_write_one_first_menu(database_url: str, own_redis: str) -> None:
    async def start() -> int:
        async with open_menu(database_url, own_redis) as menu:
            return len(await menu.told())

    assert list(await asyncio.gather(start(), start(), start())) == [6, 6, 6]


async def test_a_menu_that_staff_emptied_stays_empty(database_url: str, own_redis: str) -> None:
    async with open_menu(database_url, own_redis) as menu:
        for item in (await menu.guest.get("/menu")).json()["items"]:
            answer = await menu.manager.delete(f"/menu/{item['id']}", headers={"If-Match": "*"})
            assert answer.status_code == 204
    async with open_menu(database_url, own_redis) as menu:
        assert (await menu.guest.get("/menu")).json()["items"] == []


async def test_a_pizza_added_while_its_ingredient_runs_low_is_not_available(database_url: str) -> None:
    database = Database(database_url, source="/test")
    await migrate(database, "menu_service")
    await database.transact(seed)

    async def race(number: int) -> bool:
        body = NewPizza.model_validate(
            {
                "name": "New",
                "prices": {size: {"amount": "9.00"} for size in SIZES},
                "ingredients": ["dough", f"rare-{number}"],
                "preparation_seconds": 300,
            }
        )

        async def add(tx: Transaction) -> None:
            await put(tx, f"new-{number}", body, matching_or_new(None, None))

        async def run_low(tx: Transaction) -> None:
            await note(tx, f"rare-{number}", 1, low=True)

        await asyncio.gather(database.transact(add), database.transact(run_low))
        async with database.read() as connection:
            pizza = await load(connection, f"new-{number}")
        assert pizza is not None
        return pizza.available

    assert not any([await race(number) for number in range(30)])
    await database.aclose()


async def test_an_older_word_about_an_ingredient_changes_nothing(database_url: str) -> None:
    database = Database(database_url, source="/test")
    await migrate(database, "menu_service")
    await database.transact(seed)

    async def tell(sequence: int, *, low: bool) -> None:
        async def work(tx: Transaction) -> None:
            await note(tx, "pineapple", sequence, low=low)

        await database.transact(work)

    async def withdrawn() -> bool:
        async with database.read() as connection:
            query = select(func.count()).select_from(tables.stock).where(tables.stock.c.low)
            return bool((await connection.execute(query)).scalar_one())

    await tell(2, low=False)
    await tell(1, low=True)  # redriven late
    assert not await withdrawn()
    await tell(3, low=True)
    assert await withdrawn()
    await database.aclose()
