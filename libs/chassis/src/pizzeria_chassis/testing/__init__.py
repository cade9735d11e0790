"""For tests of services: run an app without a server, and call it as somebody."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

import httpx
from fastapi import FastAPI

from pizzeria_chassis import tables
from pizzeria_chassis.database import Database
from pizzeria_chassis.settings import Staff
from pizzeria_chassis.testing.serving import serving

__all__ = ["TOKENS", "caller", "create_chassis_tables_now", "running", "serving"]

TOKENS: Final[Mapping[Staff, str]] = {
    "cook": "cook-token-of-a-test",
    "driver": "driver-token-of-a-test",
    "manager": "manager-token-of-a-test",
    "service": "service-token-of-a-test",
}


@asynccontextmanager
async def running(app: FastAPI) -> AsyncIterator[FastAPI]:
    """Start the components of an app, and stop them at the end."""
    async with app.router.lifespan_context(app):
        yield app


def caller(app: FastAPI, role: Staff | None = None) -> httpx.AsyncClient:
    """Return a client of ``app`` in this process, with the test token of ``role``."""
    headers = {"Authorization": f"Bearer {TOKENS[role]}"} if role is not None else {}
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service", headers=headers)


async def create_chassis_tables_now(database: Database) -> None:
    """Create outbox and inbox without migrations."""
    async with database.connect(database.engines.writer) as connection, connection.begin():
        await connection.run_sync(tables.metadata.create_all)
