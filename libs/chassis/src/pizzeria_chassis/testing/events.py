"""An upstream service and replicas of a service that consumes it, for tests of the inbox."""

from collections.abc import Awaitable, Callable
from typing import Any, Self

import httpx
from fastapi import FastAPI
from pizzeria_contracts.events import OrderReady, Payload, TicketCompleted, TicketStarted
from pizzeria_contracts.streams import KITCHEN
from pydantic import SecretStr
from rediscore.client import RedisConnections
from rediscore.keys import KeySpace
from rediscore.retry import Backoff
from rediscore.settings import RedisSettings
from rediscore.streams import ReliableStreams, RetryPolicy, dead_stream, encode_entry
from rediscore.streams.event import CloudEvent, RawEvent
from rediscore.testing import eventually
from sqlalchemy import Column, Integer, MetaData, String, Table, insert, select

from pizzeria_chassis.app import Service, create_app
from pizzeria_chassis.auth import Authenticator
from pizzeria_chassis.consumer import EventConsumer
from pizzeria_chassis.database import Database
from pizzeria_chassis.feed import FeedClient, feed_router
from pizzeria_chassis.history import outbox_state
from pizzeria_chassis.inbox import inbox_states
from pizzeria_chassis.letter_copies import LetterCopies
from pizzeria_chassis.metrics import EventMetrics
from pizzeria_chassis.outbox import Relay
from pizzeria_chassis.testing import TOKENS, create_chassis_tables_now
from pizzeria_chassis.transaction import Transaction

__all__ = [
    "DONE",
    "STARTED",
    "MakeReplica",
    "Replica",
    "Upstream",
    "at_head",
    "cut_out",
    "effects",
    "handle_all",
    "in_sequence",
    "note_effect",
    "prepare",
    "tell_orders",
]

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

STARTED = TicketStarted(ticket_id="t-1", station_id="oven-1")
DONE = TicketCompleted(ticket_id="t-1", station_id="oven-1", seconds=1.5)


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
        async with self.database.read() as connection:
            return (await outbox_state(connection)).head

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
        metrics: EventMetrics | None = None,
        lease: float = 120.0,
    ) -> None:
        self.database = database
        self.connections = RedisConnections(settings)
        self.streams = ReliableStreams(
            self.connections, group="order", keys=KeySpace("order"), lease_ttl=lease
        )
        self.consumer = EventConsumer(
            database=database,
            streams=self.streams,
            stream=KITCHEN,
            feed=FeedClient("http://kitchen", SecretStr(TOKENS["service"]), transport=transport),
            partitions=partitions,
            metrics=metrics,
            copies=LetterCopies(self.connections),
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
        async with self.database.read() as connection:
            return (await inbox_states(connection)).get(KITCHEN, {}).get("position", 0)

    async def dead(self) -> int:
        async with self.database.read() as connection:
            return (await inbox_states(connection)).get(KITCHEN, {}).get("dead", 0)

    async def effects(self) -> list[tuple[str, int, int]]:
        """Subject, sequence and position of what handlers did, in the order of their commits."""
        async with self.database.read() as connection:
            query = select(effects.c.subject, effects.c.sequence, effects.c.position).order_by(effects.c.id)
            return [tuple(row) for row in (await connection.execute(query)).all()]

    async def dead_reasons(self) -> list[str]:
        letters: Any = await self.connections.commands.xrange(dead_stream(KITCHEN))
        return [fields[b"reason"].decode() for _, fields in letters]


MakeReplica = Callable[..., Awaitable[Replica]]


async def note_effect(tx: Transaction, event: CloudEvent[Any]) -> None:
    """A handler: its effect is a row."""
    await tx.connection.execute(
        insert(effects).values(
            event_id=event.id, subject=event.subject, sequence=event.sequence, position=event.position
        )
    )


async def prepare(database: Database) -> None:
    await create_chassis_tables_now(database)
    async with database.connect(database.engines.writer) as connection, connection.begin():
        await connection.run_sync(effects.metadata.create_all)


def handle_all(replica: Replica) -> None:
    """Started and completed have an effect, everything else passes."""
    replica.consumer.on(TicketStarted)(note_effect)
    replica.consumer.on(TicketCompleted)(note_effect)
    replica.consumer.ignore_rest()


async def at_head(replica: Replica, upstream: Upstream) -> None:
    """Wait until all that the upstream told is applied, ignored or dead."""

    async def there() -> bool:
        return await replica.position() == await upstream.head()

    await eventually(there, within=30, what="position = head")


async def tell_orders(upstream: Upstream, count: int, subjects: int = 3) -> None:
    """Tell ``count`` events, every second of them one that ``handle_all`` handles."""
    for number in range(count):
        await upstream.tell(STARTED if number % 2 else OrderReady(), f"o-{number % subjects}")


def in_sequence(effects: list[tuple[str, int, int]]) -> bool:
    """Return whether the effects on each subject came in the order of its events."""
    last: dict[str, int] = {}
    for subject, sequence, _ in effects:
        if sequence <= last.get(subject, 0):
            return False
        last[subject] = sequence
    return True


async def cut_out(upstream: Upstream, *, of: int, lost: list[int]) -> None:
    """Wait for that many entries, and delete some of them."""

    async def all_there() -> bool:
        return await upstream.connections.commands.xlen(KITCHEN) == of

    await eventually(all_there, within=40)
    entries: Any = await upstream.connections.commands.xrange(KITCHEN)
    await upstream.connections.commands.xdel(KITCHEN, *(entries[index][0] for index in lost))
