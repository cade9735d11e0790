"""How a run ended for the events that go from database to database."""

import json
from collections import Counter
from collections.abc import Collection

from pizzeria_chassis.database import Database
from pizzeria_chassis.history import outbox_state
from pizzeria_chassis.inbox import inbox_states
from pizzeria_chassis.tables import dead_letter, inbox, outbox
from pizzeria_chassis.testing.events import effects
from pizzeria_contracts.streams import KITCHEN
from rediscore.client import RedisConnections
from sqlalchemy import select

from tests.chaos import harness_rules as rules
from tests.chaos.harness_ledger import Effect, Ledger
from tests.chaos.harness_run import APPLIER, UPSTREAM, Run, sort_of
from tests.chaos.harness_witness_streams import unread, untrimmed
from tests.chaos.program_relay import facts


class RelayWitness:
    """Of one consuming service, and of the outbox that it consumes."""

    def __init__(self, run: Run, connections: RedisConnections, service: str) -> None:
        self.kind = f"relay to {service}"
        self._service = service
        self._connections = connections
        self._upstream: Database = run.database(UPSTREAM)
        self._database: Database = run.database(service)
        self._ledger = Ledger(run.file(f"relay-{service}.db"))
        self._sorts: dict[str, str] = {}

    async def restless(self) -> list[str]:
        async with self._upstream.read() as connection:
            state = await outbox_state(connection)
        async with self._database.read() as connection:
            position = (await inbox_states(connection)).get(KITCHEN, {}).get("position", 0)
        if state.head == state.sent == position:
            return await unread(self._connections, KITCHEN, self._service)
        return [f"outbox: {state.head} committed, {state.sent} sent; {self._service} has come to {position}"]

    async def lost(self) -> Collection[str]:
        return []  # the relay and the feed see to that

    async def broken(self) -> list[str]:
        await self._learn()
        async with self._database.read() as connection:
            had = [
                Effect(row.event_id, row.subject, row.sequence)
                for row in await connection.execute(select(effects).order_by(effects.c.id))
            ]
            dead = {
                event_id
                for (event_id,) in await connection.execute(
                    select(inbox.c.event_id).where(inbox.c.status == "dead")
                )
            }
            # The letter is the row; its copy in Redis goes with whatever else Redis loses.
            letters = await connection.execute(
                select(dead_letter.c.key, dead_letter.c.reason, dead_letter.c.error).where(
                    dead_letter.c.stream == KITCHEN
                )
            )
            reasons = {row.key: f"{row.reason}: {row.error}" for row in letters if row.key in dead}
        wrong = [f"{event_id}: dead without a letter" for event_id in dead - reasons.keys()]
        wrong += rules.one_end(self._sorts, Counter(effect.item for effect in had), Counter(dead))
        wrong += rules.meant_end(self._sorts, dead, self._sorts) + rules.with_reasons(reasons)
        if self._service == APPLIER:  # a batch consumer promises no order for what is caught up
            wrong += rules.in_order(had)
        return wrong + await self._outbox_broken() + await untrimmed(self._connections, KITCHEN)

    def redelivered(self) -> int:
        attempts = self._ledger.attempts().items()
        return sum(times > 1 and self._sorts.get(item) == "ok" for item, times in attempts)

    def journey(self, item: str) -> list[tuple[float, str]]:
        return self._ledger.journey(item)

    async def aclose(self) -> None:
        await self._upstream.aclose()
        await self._database.aclose()

    async def _learn(self) -> None:
        async with self._upstream.read() as connection:
            rows = (await connection.execute(select(outbox.c.event_id, outbox.c.envelope))).all()
        self._sorts = {row.event_id: sort_of(json.loads(row.envelope)["data"]["ticket_id"]) for row in rows}

    async def _outbox_broken(self) -> list[str]:
        """A fact has one event and an event its fact; positions have no gap."""
        async with self._upstream.read() as connection:
            told = [
                json.loads(envelope)["data"]["ticket_id"]
                for (envelope,) in await connection.execute(select(outbox.c.envelope))
            ]
            known = [item for (item,) in await connection.execute(select(facts.c.item))]
            places = [
                place
                for (place,) in await connection.execute(
                    select(outbox.c.position).order_by(outbox.c.position)
                )
            ]
        wrong = (
            [] if sorted(told) == sorted(known) else [f"{len(known)} facts and {len(told)} events of them"]
        )
        if places != list(range(1, len(places) + 1)):
            wrong.append("the positions in the outbox have gaps or repeats")
        return wrong
