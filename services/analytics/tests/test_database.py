"""The archive's tables."""

from analytics_service import tables
from pizzeria_chassis.database import Database
from pizzeria_chassis.migrations import differences, migrate


async def test_migrations_make_what_the_code_expects(database_url: str) -> None:
    database = Database(database_url, source="/test")
    await migrate(database, "analytics_service")
    assert await differences(database, [tables.metadata]) == []
    await database.aclose()
