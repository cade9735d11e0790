"""An upstream service and replicas of a service that consumes it, for tests of the inbox."""

from typing import Any, Self

import httpx
from fastapi import FastAPI
from pizzeria_contracts.events import Payload
from pizzeria_contracts.streams import KITCHEN
from pydantic import SecretStr
from rediscore.client import RedisConnections
from rediscore.keys import KeySpace
from rediscore.retry import Backoff
from rediscore.settings import RedisSettings
from rediscore.streams import ReliableStreams, RetryPolicy, dead_stream, encode_entry
from rediscore.streams.event import CloudEvent, RawEvent
from sqlalchemy import Column, Integer, MetaData, String, Table, insert, select

from pizzeria_chassis.app import Service, create_app
from pizzeria_chassis.auth import Authenticator
from pizzeria_chassis.consumer import EventConsumer
from pizzeria_chassis.database import Database
from pizzeria_chassis.feed import FeedClient, feed_router
from pizzeria_chassis.history import outbox_state
from pizzeria_chassis.inbox import inbox_states
from pizzeria_chassis.outbox import Relay
from pizzeria_chassis.testing import TOKENS, create_chassis_tables_now
from pizzeria_chassis.transaction import Transaction

effects = Table(
    "effects",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("event_id", String(36), nullable=False),
    Column("subject", String(100), nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("position", Integer, nullable=False),
)
"""What handlers did. Nothing here hinders an event from having its effect twice, so doubles show."""


__all__ = ["Replica", "Upstream", "effects", "note_effect", "prepare"]


class Upstream:
    """The kitchen: an outbox, its relay and its feed."""

    def __init__(self, database: Database, connections: RedisConnections) -> None:
        self.database = database
        self.connections = connections
        self.relay = Relay(database, connections, streams=[KITCHEN])
        tokens = {"service": SecretStr(TOKENS["service"])}
        self.app: FastAPI = create_app(
            Service(
                name="kitchen",
                description="Upstream.",
                authenticator=Authenticator(tokens),  # type: ignore[arg-type]
                routers=[feed_router(database)],
            )
        )
        self.away = False
        self.refused = 0

    async def tell(self, payload: Payload, subject: str = "o-1") -> RawEvent:
        async def work(tx: Transaction) -> CloudEvent[Any]:
            return await tx.append(payload, subject=subject)

        return RawEvent.model_validate_json((await self.database.transact(work)).to_json())

    async def head(self) -> int:
        """How many events are committed, sent or not."""
        async with self.database.read() as session:
            return (await outbox_state(session)).head

    def transport(self) -> httpx.AsyncBaseTransport:
        inner = httpx.ASGITransport(self.app)
        upstream = self

        class Switch(httpx.AsyncBaseTransport):
            async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
                if upstream.away:
                    upstream.refused += 1
                    raise httpx.ConnectError("refused")
                return await inner.handle_async_request(request)

        return Switch()

    async def add_raw(self, body: bytes | str, stream: str = KITCHEN) -> None:
        await self.connections.commands.xadd(stream, {"__data__": body})

    async def add_event(self, event: CloudEvent[Any], stream: str = KITCHEN) -> None:
        await self.connections.commands.xadd(stream, encode_entry(event))  # type: ignore[arg-type]


class Replica:
    """One instance of the consuming service."""

    def __init__(
        self,
        database: Database,
        settings: RedisSettings,
        transport: httpx.AsyncBaseTransport,
        *,
        partitions: int = 1,
    ) -> None:
        self.database = database
        self.connections = RedisConnections(settings)
        self.streams = ReliableStreams(self.connections, group="order", keys=KeySpace("order"), lease_ttl=1.0)
        self.consumer = EventConsumer(
            database=database,
            streams=self.streams,
            stream=KITCHEN,
            feed=FeedClient("http://kitchen", SecretStr(TOKENS["service"]), transport=transport),
            partitions=partitions,
            retry=RetryPolicy(max_attempts=3, backoff=Backoff(0.02, 0.1)),
        )

    async def start(self) -> Self:
        await self.streams.start()
        await self.consumer.start()
        return self

    async def stop(self) -> None:
        await self.consumer.stop()
        await self.streams.stop(2.0)
        await self.connections.aclose()

    async def position(self) -> int:
        async with self.database.read() as session:
            return (await inbox_states(session)).get(KITCHEN, {}).get("position", 0)

    async def dead(self) -> int:
        async with self.database.read() as session:
            return (await inbox_states(session)).get(KITCHEN, {}).get("dead", 0)

    async def effects(self) -> list[tuple[str, int, int]]:
        """Subject, sequence and position of what handlers did, in the order of their commits."""
        async with self.database.read() as session:
            query = select(effects.c.subject, effects.c.sequence, effects.c.position).order_by(effects.c.id)
            return [tuple(row) for row in (await session.execute(query)).all()]

    async def dead_reasons(self) -> list[str]:
        letters: Any = await self.connections.commands.xrange(dead_stream(KITCHEN))
        return [fields[b"reason"].decode() for _, fields in letters]


async def note_effect(tx: Transaction, event: CloudEvent[Any]) -> None:
    """A handler: its effect is a row."""
    await tx.session.execute(
        insert(effects).values(
            event_id=event.id, subject=event.subject, sequence=event.sequence, position=event.position
        )
    )


async def prepare(database: Database) -> None:
    await create_chassis_tables_now(database)
    async with database.connect(database.engines.writer) as connection, connection.begin():
        await connection.run_sync(effects.metadata.create_all)
