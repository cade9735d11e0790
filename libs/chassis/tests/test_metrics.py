"""Metrics: what moves, by bounded labels."""

import pytest
from fastapi import APIRouter
from pizzeria_chassis.app import Service, create_app
from pizzeria_chassis.auth import Authenticator
from pizzeria_chassis.metrics import DatabaseMetrics, EventMetrics
from pizzeria_chassis.outbox import Relay
from pizzeria_chassis.settings import Staff
from pizzeria_chassis.testing import TOKENS, caller
from pizzeria_chassis.testing.events import Replica, Upstream, note_effect, prepare
from pizzeria_contracts.events import TicketStarted
from pizzeria_contracts.streams import KITCHEN
from prometheus_client import CollectorRegistry, generate_latest
from pydantic import SecretStr
from rediscore.settings import RedisSettings
from rediscore.testing import eventually


@pytest.mark.proves("R20")
async def test_requests_are_counted_by_route_template_and_never_by_path() -> None:
    router = APIRouter()

    @router.get("/orders/{order_id}")
    async def order(order_id: str) -> str:
        return order_id

    tokens: dict[Staff, SecretStr] = {role: SecretStr(token) for role, token in TOKENS.items()}
    app = create_app(
        Service(name="shop", description="S.", authenticator=Authenticator(tokens), routers=[router])
    )
    async with caller(app, "service") as client:
        for number in range(50):
            await client.get(f"/orders/{number}")
            await client.get(f"/nowhere/{number}")
        text = (await client.get("/metrics")).text
    counts = [line for line in text.splitlines() if line.startswith("http_request_duration_seconds_count")]
    assert any('route="/orders/{order_id}",status="200"} 50.0' in line for line in counts)
    assert any('route="unknown",status="404"} 50.0' in line for line in counts)
    assert len(counts) == 2


@pytest.mark.proves("R20")
async def test_outbox_and_inbox_tell_what_they_did(
    sqlite_url: str, open_database: object, own_redis: RedisSettings, upstream: Upstream
) -> None:
    assert callable(open_database)
    registry = CollectorRegistry()
    metrics = EventMetrics(registry)
    await upstream.relay.stop()
    upstream.relay = Relay(upstream.database, upstream.connections, streams=[KITCHEN], metrics=metrics)
    await upstream.relay.start()
    database = open_database(sqlite_url)
    await prepare(database)
    consumer = Replica(database, own_redis, upstream.transport(), metrics=metrics)
    consumer.consumer.on(TicketStarted)(note_effect)
    consumer.consumer.ignore_rest()
    await consumer.start()
    event = await upstream.tell(TicketStarted(ticket_id="t", station_id="s"))

    def shown(line: str) -> bool:
        return line in generate_latest(registry).decode().splitlines()

    await eventually(lambda: shown('inbox_events_total{outcome="applied",stream="kitchen.events"} 1.0'))
    await upstream.add_event(event.model_copy(update={"position": 1}))
    await eventually(lambda: shown('inbox_events_total{outcome="duplicate",stream="kitchen.events"} 1.0'))
    await eventually(lambda: shown("outbox_sent_total 1.0"))
    await eventually(lambda: shown("outbox_unsent 0.0"))
    await eventually(lambda: shown('inbox_lag_events{stream="kitchen.events"} 0.0'), within=40)
    assert shown("outbox_relay_leading 1.0")
    # Once in half a minute it tells of its groups, also of one that nobody reads any more.
    await upstream.connections.commands.xgroup_create(KITCHEN, "gone", id="0")
    upstream.relay._next_trim = 0.0
    await upstream.tell(TicketStarted(ticket_id="t", station_id="s"))
    await eventually(lambda: behind(registry, "gone") > 0, what="the group that nobody reads is shown")
    await consumer.stop()


def behind(registry: CollectorRegistry, group: str) -> float:
    labels = {"stream": KITCHEN, "group": group}
    return registry.get_sample_value("rediscore_stream_group_behind_entries", labels) or 0


@pytest.mark.proves("R20")
async def test_transactions_are_counted_by_kind(sqlite_url: str, open_database: object) -> None:
    assert callable(open_database)
    registry = CollectorRegistry()
    database = open_database(sqlite_url)
    DatabaseMetrics(database, registry)
    await prepare(database)
    before = registry.get_sample_value("database_transactions_total", {"kind": "write"}) or 0
    await database.transact(lambda tx: tx.append(TicketStarted(ticket_id="t", station_id="s"), subject="o"))
    await database.ping()
    assert registry.get_sample_value("database_transactions_total", {"kind": "write"}) == before + 1
    assert registry.get_sample_value("database_transactions_total", {"kind": "read"}) == 1
