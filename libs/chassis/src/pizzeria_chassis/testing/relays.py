"""Relays at work, and what they bring to the stream, for tests of the outbox."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from pizzeria_contracts.events import OrderReady
from pizzeria_contracts.streams import KITCHEN
from rediscore.client import RedisConnections
from rediscore.streams.event import RawEvent, decode_entry

from pizzeria_chassis.database import Database
from pizzeria_chassis.history import outbox_state
from pizzeria_chassis.outbox import Relay
from pizzeria_chassis.transaction import Transaction

__all__ = ["all_sent", "at_work", "entries", "on_stream", "positions", "tell", "up_to"]


@asynccontextmanager
async def at_work(*relays: Relay) -> AsyncIterator[None]:
    for relay in relays:
        await relay.start()
    try:
        yield
    finally:
        for relay in relays:
            await relay.stop()


async def tell(database: Database, *subjects: str) -> None:
    """Commit one transaction with an event of each subject, by default one of o-1."""

    async def work(tx: Transaction) -> None:
        for subject in subjects or ["o-1"]:
            await tx.append(OrderReady(), subject=subject)

    await database.transact(work)


async def entries(connections: RedisConnections, stream: str = KITCHEN) -> Any:
    return await connections.commands.xrange(stream)


async def on_stream(connections: RedisConnections, stream: str = KITCHEN) -> list[RawEvent]:
    return [decode_entry(fields) for _, fields in await entries(connections, stream)]


async def positions(connections: RedisConnections, stream: str = KITCHEN) -> list[int | None]:
    return [event.position for event in await on_stream(connections, stream)]


async def all_sent(database: Database) -> bool:
    async with database.read() as connection:
        state = await outbox_state(connection)
    return state.head == state.sent


def up_to(count: int) -> list[int]:
    return list(range(1, count + 1))
