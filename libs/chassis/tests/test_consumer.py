"""The inbox: one effect per event whatever is delivered how often, and nothing silent."""

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from pizzeria_chassis.database import Database
from pizzeria_chassis.errors import ChassisError
from pizzeria_chassis.history import Row, stamped
from pizzeria_chassis.tables import outbox
from pizzeria_chassis.testing.events import (
    DONE,
    STARTED,
    MakeReplica,
    Replica,
    Upstream,
    at_head,
    handle_all,
    in_sequence,
    note_effect,
    prepare,
    tell_orders,
)
from pizzeria_chassis.transaction import Transaction
from pizzeria_contracts.events import (
    OrderPlaced,
    OrderReady,
    StockLow,
    TicketCompleted,
    TicketCompletedV2,
    TicketStarted,
)
from pizzeria_contracts.streams import KITCHEN
from rediscore.settings import RedisSettings
from rediscore.streams.event import CloudEvent, RawEvent
from rediscore.testing import eventually
from sqlalchemy import select


@pytest.mark.proves("I5")
async def test_each_event_has_its_effect_and_the_position_reaches_the_head(
    replica: MakeReplica, upstream: Upstream
) -> None:
    consumer = await replica()
    handle_all(consumer)
    await consumer.start()
    for number in range(6):
        await upstream.tell(STARTED, f"o-{number % 2}")
        await upstream.tell(OrderReady(), f"o-{number % 2}")
    await at_head(consumer, upstream)
    effects = await consumer.effects()
    assert sorted(position for _, _, position in effects) == [1, 3, 5, 7, 9, 11]
    assert in_sequence(effects)
    assert await consumer.consumer.position() == 12


@pytest.mark.proves("I9")
async def test_duplicate_deliveries_have_one_effect(replica: MakeReplica, upstream: Upstream) -> None:
    consumer = await replica()
    handle_all(consumer)
    event = await upstream.tell(STARTED)
    await eventually(lambda: upstream.connections.commands.xlen(KITCHEN))
    copy = event.model_copy(update={"position": 1})
    for _ in range(5):
        await upstream.add_event(copy)
    await consumer.start()
    await upstream.tell(DONE)
    await at_head(consumer, upstream)

    async def all_acknowledged() -> bool:
        (group,) = await consumer.connections.commands.xinfo_groups(KITCHEN)
        return bool(group["entries-read"] == 7 and group["pending"] == 0)

    await eventually(all_acknowledged, what="all seven entries handled")
    assert await consumer.effects() == [("o-1", 1, 1), ("o-1", 2, 2)]


async def test_a_failing_attempt_leaves_no_effect_and_is_tried_again(
    replica: MakeReplica, upstream: Upstream
) -> None:
    consumer = await replica()
    attempts = 0

    @consumer.consumer.on(TicketStarted)
    async def third_time(tx: Transaction, event: CloudEvent[TicketStarted]) -> None:
        nonlocal attempts
        attempts += 1
        await note_effect(tx, event)
        await tx.append(OrderReady(), subject=event.subject)
        if attempts < 3:
            raise RuntimeError("not yet")

    consumer.consumer.ignore_rest()
    await consumer.start()
    await upstream.tell(STARTED)
    await at_head(consumer, upstream)
    assert attempts == 3
    assert await consumer.effects() == [("o-1", 1, 1)]
    assert await consumer.dead() == 0


@pytest.mark.proves("I9", "R18")
async def test_poison_becomes_dead_letters_and_the_position_still_reaches_the_head(
    replica: MakeReplica, upstream: Upstream
) -> None:
    consumer = await replica()
    handle_all(consumer)
    broken: list[str] = []

    @consumer.consumer.on(StockLow)
    async def never(tx: Transaction, event: CloudEvent[StockLow]) -> None:
        await note_effect(tx, event)
        broken.append(event.id)
        raise RuntimeError("this one always fails")

    await consumer.start()
    await upstream.tell(STARTED, "o-1")
    bad = await upstream.tell(StockLow(ingredient="pineapple"), "pineapple")
    await upstream.add_raw("no json at all")
    forged = bad.model_copy(update={"id": "forged-1", "position": 999})
    await upstream.add_event(forged.model_copy(update={"type": "pizzeria.order.eaten.v1"}))
    await upstream.add_event(
        forged.model_copy(update={"id": "forged-2", "type": "pizzeria.kitchen.ticket_started.v1"})
    )
    await upstream.tell(DONE, "o-1")
    await at_head(consumer, upstream)

    async def all_buried() -> bool:
        return len(await consumer.dead_reasons()) == 4

    await eventually(all_buried)
    assert sorted(await consumer.dead_reasons()) == [
        "handler-failed", "invalid-payload", "malformed", "unknown-type",
    ]  # fmt: skip
    assert broken == [bad.id] * 3, "bounded attempts"
    assert await consumer.effects() == [("o-1", 1, 1), ("o-1", 2, 3)], "what is dead has no effect"
    assert await consumer.dead() == 3, "all that had an id"
    assert await consumer.position() == 3


@pytest.mark.proves("I9")
async def test_a_database_that_is_away_makes_no_dead_letters(
    sqlite_url: str,
    open_database: Callable[..., Database],
    own_redis: RedisSettings,
    upstream: Upstream,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pizzeria_chassis.engines.LOCK_SECONDS", 0.05)
    database = open_database(sqlite_url)
    await prepare(database)
    consumer = Replica(database, own_redis, upstream.transport())
    tried = 0

    @consumer.consumer.on(TicketStarted)
    async def handler(tx: Transaction, event: CloudEvent[TicketStarted]) -> None:
        await note_effect(tx, event)

    consumer.consumer.ignore_rest()
    real = Database.transact

    async def counting(self: Database, *args: Any, **options: Any) -> Any:
        nonlocal tried
        tried += self is database
        return await real(self, *args, **options)

    monkeypatch.setattr(Database, "transact", counting)
    other = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    await consumer.start()
    await upstream.tell(STARTED)
    await eventually(lambda: tried > 6, within=40, what="tried more often than three attempts")
    assert await consumer.effects() == []
    other.execute("ROLLBACK")
    other.close()
    await at_head(consumer, upstream)
    assert await consumer.effects() == [("o-1", 1, 1)]
    assert await consumer.dead_reasons() == []
    await consumer.stop()


async def test_a_type_that_nobody_handles_must_be_named_or_ignored_on_purpose(replica: MakeReplica) -> None:
    consumer = await replica()
    consumer.consumer.on(TicketStarted)(note_effect)
    with pytest.raises(ChassisError, match=r"pizzeria\.kitchen\.order_ready\.v1.*ignore_rest"):
        await consumer.consumer.start()


async def test_a_type_of_another_stream_is_refused(replica: MakeReplica) -> None:
    consumer = await replica()
    with pytest.raises(ValueError, match=r"does not travel on kitchen\.events"):
        consumer.consumer.on(OrderPlaced)


async def test_events_that_a_handler_appends_know_what_caused_them(
    replica: MakeReplica, upstream: Upstream
) -> None:
    consumer = await replica()

    @consumer.consumer.on(TicketStarted)
    async def handler(tx: Transaction, event: CloudEvent[TicketStarted]) -> None:
        assert event.data == STARTED
        await tx.append(DONE, subject="other")

    consumer.consumer.ignore_rest()
    await consumer.start()
    cause = await upstream.tell(STARTED)
    await at_head(consumer, upstream)
    async with consumer.database.read() as connection:
        (row,) = (
            await connection.execute(
                select(outbox.c.id, outbox.c.stream, outbox.c.subject, outbox.c.envelope, outbox.c.position)
            )
        ).all()
    _, event = stamped(Row(*row))
    assert event.causationid == cause.id
    assert event.correlationid == cause.subject


@pytest.mark.proves("I5", "I9")
async def test_batches_are_one_transaction_and_one_bad_event_is_one_dead_letter(
    replica: MakeReplica, upstream: Upstream
) -> None:
    consumer = await replica()
    sizes: list[int] = []

    @consumer.consumer.on_batch
    async def archive(tx: Transaction, events: Sequence[RawEvent]) -> None:
        sizes.append(len(events))
        for event in events:
            await note_effect(tx, event)
        if any(event.type.endswith("stock.low.v1") for event in events):
            raise RuntimeError("this one spoils its batch")

    await tell_orders(upstream, 20)
    await upstream.tell(StockLow(ingredient="pineapple"), "pineapple")
    await tell_orders(upstream, 19)
    copy = (await upstream.tell(STARTED, "twice")).model_copy(update={"position": 41})
    await eventually(lambda: upstream.connections.commands.exists(KITCHEN), within=40)
    await upstream.add_event(copy)
    await consumer.start()
    await at_head(consumer, upstream)
    await upstream.add_event(copy.model_copy(update={"id": "f", "type": "pizzeria.order.eaten.v1"}))
    effects = await consumer.effects()
    places = [position for _, _, position in effects]
    assert sorted(places) == [place for place in range(1, 42) if place != 21]
    assert max(sizes) > 1, "there were batches"

    async def buried() -> bool:
        return len(await consumer.dead_reasons()) == 2

    await eventually(buried, within=40)
    assert await consumer.dead_reasons() == ["handler-failed", "rejected"]
    assert await consumer.position() == 41


async def test_two_versions_of_an_event_come_to_one_handler_as_the_newer_one(
    replica: MakeReplica, upstream: Upstream
) -> None:
    consumer = await replica()
    told: list[int] = []

    @consumer.consumer.on(TicketCompletedV2)
    async def completed(tx: Transaction, event: CloudEvent[TicketCompletedV2]) -> None:
        told.append(event.data.milliseconds)

    consumer.consumer.ignore_rest()
    await consumer.start()
    await upstream.tell(TicketCompleted(ticket_id="t-1", station_id="oven-1", seconds=1.5))
    await upstream.tell(TicketCompletedV2(ticket_id="t-2", station_id="oven-1", milliseconds=2500))
    await at_head(consumer, upstream)
    assert told == [1500, 2500]
    with pytest.raises(ValueError, match="has a handler already"):
        consumer.consumer.on(TicketCompleted)
