"""The way over the databases: writers of the outbox, relays, and consumers with an inbox."""

import asyncio
from collections.abc import Sequence

from pizzeria_chassis.consumer import EventConsumer
from pizzeria_chassis.errors import DatabaseUnavailable
from pizzeria_chassis.feed import FeedClient
from pizzeria_chassis.testing import TOKENS
from pizzeria_chassis.testing.events import Upstream, effects, note_effect
from pizzeria_chassis.transaction import Transaction
from pizzeria_contracts.events import TicketStarted
from pizzeria_contracts.streams import KITCHEN
from pydantic import SecretStr
from rediscore.client import RedisConnections
from rediscore.streams.event import CloudEvent, RawEvent
from sqlalchemy import Column, MetaData, String, Table, insert

from tests.chaos.harness_ledger import Ledger
from tests.chaos.harness_run import APPLIER, BATCHER, RETRY, UPSTREAM, Run, sort_of
from tests.chaos.harness_work import behave

SUBJECTS = 8
EVERY = 0.05
_SORTS = {5: "poison", 15: "flaky", 85: "slow"}

facts = Table("facts", MetaData(), Column("item", String(100), nullable=False))
"""What the events tell of, written in the same transaction."""


async def write(run: Run, name: str, stop: asyncio.Event) -> None:
    """Commit a fact with its event every so often."""
    database = run.database(UPSTREAM)
    life = int(name.rpartition(".")[2])
    number = 0
    while not stop.is_set():
        number += 1
        # Each costs the consumers a dozen processes and as many leases, while all others wait.
        kills = run.killers and number == 10 and life == 1
        item = f"{'killer' if kills else _SORTS.get(number % 120, 'ok')}-{name}-{number}"

        async def tell(tx: Transaction, item: str = item, subject: str = f"o-{number % SUBJECTS}") -> None:
            await tx.connection.execute(insert(facts).values(item=item))
            await tx.append(TicketStarted(ticket_id=item, station_id="oven-1"), subject=subject)

        try:
            await database.transact(tell)
        except DatabaseUnavailable:
            continue
        await asyncio.sleep(EVERY)
    await database.aclose()


async def relay(run: Run, _: str, stop: asyncio.Event) -> None:
    """Carry the outbox to the stream, or stand by."""
    connections, database = run.connect(), run.database(UPSTREAM)
    running = Upstream(database, connections).relay
    await running.start()
    await stop.wait()
    await running.stop()
    await connections.aclose()
    await database.aclose()


async def consume(run: Run, name: str, stop: asyncio.Event) -> None:
    """Two services in one process: one applies event by event, one in batches."""
    connections, database = run.connect(), run.database(UPSTREAM)
    # The feed is that of the upstream service, without the way over the network.
    upstream = Upstream(database, connections)
    services = [Service(run, connections, upstream, service, name) for service in (APPLIER, BATCHER)]
    for service in services:
        await service.start()
    await stop.wait()
    for service in services:
        await service.stop()
    await connections.aclose()
    await database.aclose()


class Service:
    """One consuming service. Nothing but the inbox keeps its effects from being had twice."""

    def __init__(
        self, run: Run, connections: RedisConnections, upstream: Upstream, service: str, name: str
    ) -> None:
        self._database = run.database(service)
        self._streams = run.streams(connections, group=service)
        self._ledger = Ledger(run.file(f"relay-{service}.db"), name)
        self._consumer = EventConsumer(
            database=self._database,
            streams=self._streams,
            stream=KITCHEN,
            feed=FeedClient("http://kitchen", SecretStr(TOKENS["service"]), transport=upstream.transport()),
            retry=RETRY,
        )
        if service == BATCHER:
            self._consumer.on_batch(self._batch)
        else:
            self._consumer.on(TicketStarted)(self._one)
            self._consumer.ignore_rest()

    async def start(self) -> None:
        await self._streams.start()
        await self._consumer.start()

    async def stop(self) -> None:
        await self._consumer.stop()
        await self._streams.stop(5.0)
        await self._database.aclose()

    async def _one(self, tx: Transaction, event: CloudEvent[TicketStarted]) -> None:
        await self._behave(event.id, event.data.ticket_id)
        await note_effect(tx, event)

    async def _batch(self, tx: Transaction, events: Sequence[RawEvent]) -> None:
        for event in events:
            await self._behave(event.id, event.data["ticket_id"])
        rows = [
            {"event_id": e.id, "subject": e.subject, "sequence": e.sequence, "position": e.position}
            for e in events
        ]
        await tx.connection.execute(insert(effects), rows)

    async def _behave(self, event_id: str, item: str) -> None:
        # In a file of its own: a note in this transaction would be gone with a failure.
        _, attempt = await asyncio.to_thread(self._ledger.begin, event_id)
        await behave(sort_of(item), attempt)
