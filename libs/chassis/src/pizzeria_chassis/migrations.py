"""Alembic in the process that needs the tables, at its start.

A service keeps its versions in ``<package>/migrations/versions`` beside an ``env.py`` of two lines::

    from pizzeria_chassis.migrations import run_migrations
    run_migrations()

and calls ``create_chassis_tables()`` in its first version. What the chassis added to its own tables since
then is a branch of its own beside it, in ``pizzeria_chassis/versions``, of which no service knows (ADR 0037).
"""

from collections.abc import Sequence
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, MetaData, text

from pizzeria_chassis import tables
from pizzeria_chassis.database import Database

if TYPE_CHECKING:
    from alembic.config import Config

__all__ = ["create_chassis_tables", "differences", "migrate", "run_migrations"]

# Any number, the same in all replicas of a service: they share a database.
MIGRATION_LOCK: Final = 6_073_021


async def migrate(database: Database, package: str) -> None:
    """Bring the database to the newest version of ``package``; does nothing when it is there.

    All steps are one transaction under a lock, so replicas may start together: one migrates, the others
    wait and find it done.

    Raises:
        DatabaseUnavailable: out of reach, or locked for longer than 5 s.
    """
    async with database.connect(database.engines.writer) as connection, connection.begin():
        if database.engines.flavour == "postgresql":
            await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
        else:
            await connection.execute(text("SELECT 1"))  # the first statement takes the writer's lock
        await connection.run_sync(_upgrade, package)


def _config(connection: Connection, package: str) -> "Config":
    from alembic.config import Config

    config = Config()
    migrations = files(package) / "migrations"
    config.set_main_option("script_location", str(migrations))
    config.set_main_option("path_separator", "newline")
    config.set_main_option(
        "version_locations", f"{migrations / 'versions'}\n{files('pizzeria_chassis') / 'versions'}"
    )
    config.attributes["connection"] = connection
    return config


def _upgrade(connection: Connection, package: str) -> None:
    from alembic import command

    command.upgrade(_config(connection, package), "heads")


def run_migrations() -> None:
    """Run the pending versions on the connection that ``migrate`` hands in; called by ``env.py``."""
    from alembic import context

    connection = context.config.attributes.get("connection")
    if connection is None:
        raise RuntimeError("Migrations run when the service starts; start the service instead of alembic.")
    context.configure(connection=connection)
    context.run_migrations()


def create_chassis_tables() -> None:
    """Create outbox, inbox, inbox_position and relay_lead as of version 1; for a service's first version."""
    from alembic import op

    first = [table for table in tables.metadata.sorted_tables if table not in tables.ADDED]
    tables.metadata.create_all(op.get_bind(), tables=first, checkfirst=False)


async def differences(database: Database, metadata: Sequence[MetaData]) -> list[object]:
    """Return what the migrated database lacks or has too much of, compared with ``metadata``; for tests."""

    def compare(connection: Connection) -> list[object]:
        from alembic.autogenerate import compare_metadata
        from alembic.migration import MigrationContext

        merged = MetaData()
        for part in (tables.metadata, *metadata):
            for table in part.tables.values():
                table.to_metadata(merged)
        return list(compare_metadata(MigrationContext.configure(connection), merged))

    async with database.connect(database.engines.reader) as connection:
        return await connection.run_sync(compare)
