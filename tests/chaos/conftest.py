"""Databases of a run: SQLite files, and PostgreSQL for half of the long runs where an engine answers."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine

from tests.chaos.harness_run import APPLIER, BATCHER, UPSTREAM

SERVICES = (UPSTREAM, APPLIER, BATCHER)


@pytest.fixture
def sqlite_databases(tmp_path: Path) -> Mapping[str, str]:
    """Address by service."""
    return {service: f"sqlite:///{tmp_path}/{service}.db" for service in SERVICES}


@pytest_asyncio.fixture
async def databases(
    request: pytest.FixtureRequest, fsync: str, sqlite_databases: Mapping[str, str]
) -> AsyncIterator[Mapping[str, str]]:
    """With `everysec` PostgreSQL, if there is one; else SQLite."""
    server: str | None = request.getfixturevalue("postgres_server") if fsync == "everysec" else None
    if server is None:
        yield sqlite_databases
        return
    names = {service: f"{service}_{uuid4().hex[:8]}" for service in SERVICES}
    admin = create_async_engine(
        make_url(server).set(drivername="postgresql+asyncpg"), isolation_level="AUTOCOMMIT"
    )
    async with admin.connect() as connection:
        for name in names.values():
            await connection.execute(text(f"CREATE DATABASE {name}"))
    yield {
        service: make_url(server).set(drivername="postgresql", database=name).render_as_string(False)
        for service, name in names.items()
    }
    async with admin.connect() as connection:
        for name in names.values():
            await connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    await admin.dispose()
