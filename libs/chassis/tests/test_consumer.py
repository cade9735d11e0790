"""The inbox: one effect per event whatever is delivered how often, nothing missed, nothing silent."""

import asyncio
import signal
import sqlite3
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from pizzeria_chassis.catchup import CatchUp
from pizzeria_chassis.database import Database
from pizzeria_chassis.errors import ChassisError
from pizzeria_chassis.history import Row, stamped
from pizzeria_chassis.inbox import Inbox
from pizzeria_chassis.outbox import Relay
from pizzeria_chassis.tables import outbox
from pizzeria_chassis.testing import TOKENS
from pizzeria_chassis.testing.events import Replica, Upstream, note_effect, prepare
from pizzeria_chassis.transaction import Transaction
from pizzeria_contracts.events import OrderPlaced, OrderReady, StockLow, TicketCompleted, TicketStarted
from pizzeria_contracts.streams import KITCHEN
from rediscore.settings import RedisSettings
from rediscore.streams.event import CloudEvent, RawEvent
from rediscore.testing import eventually
from sqlalchemy import select

MakeReplica = Callable[..., Awaitable[Replica]]

PROCESS = Path(__file__).parent / "consumer_process.py"
STARTED = TicketStarted(ticket_id="t-1", station_id="oven-1")
DONE = TicketCompleted(ticket_id="t-1", station_id="oven-1", seconds=1.5)


def handle_all(replica: Replica) -> None:
    """Started and completed have an effect, everything else passes."""
    replica.consumer.on(TicketStarted)(note_effect)
    replica.consumer.on(TicketCompleted)(note_effect)
    replica.consumer.ignore_rest()


async def at_head(replica: Replica, upstream: Upstream) -> None:
    async def there() -> bool:
        return await replica.position() == await upstream.head()

    await eventually(there, within=30, what="position = head")


async def tell_orders(upstream: Upstream, count: int, subjects: int = 3) -> None:
    for number in range(count):
        await upstream.tell(STARTED if number % 2 else OrderReady(), f"o-{number % subjects}")


def in_sequence(effects: list[tuple[str, int, int]]) -> bool:
    last: dict[str, int] = {}
    for subject, sequence, _ in effects:
        if sequence <= last.get(subject, 0):
            return False
        last[subject] = sequence
    return True


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


@pytest.mark.proves("I9")
async def test_the_same_event_at_the_same_moment_in_two_replicas_has_one_effect(
    replica: MakeReplica, upstream: Upstream
) -> None:
    one, two = await replica(), await replica()
    event = (await upstream.tell(STARTED)).model_copy(update={"position": 1})

    async def slow(tx: Transaction, event: CloudEvent[Any]) -> None:
        await asyncio.sleep(0.05)
        await note_effect(tx, event)

    applied = await asyncio.gather(
        *(Inbox(each.database, KITCHEN).apply(event, slow) for each in (one, two, one, two))
    )
    assert sorted(applied) == [False, False, False, True]
    assert len(await one.effects()) == 1


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
async def test_a_dead_event_that_comes_again_may_be_applied(replica: MakeReplica, upstream: Upstream) -> None:
    consumer = await replica()
    healthy = False

    @consumer.consumer.on(TicketStarted)
    async def handler(tx: Transaction, event: CloudEvent[TicketStarted]) -> None:
        if not healthy:
            raise RuntimeError("a bug")
        await note_effect(tx, event)

    consumer.consumer.ignore_rest()
    await consumer.start()
    event = await upstream.tell(STARTED)
    await at_head(consumer, upstream)
    assert await consumer.dead() == 1
    healthy = True
    await upstream.add_event(event.model_copy(update={"position": 1}))

    async def alive() -> bool:
        return await consumer.dead() == 0

    await eventually(alive, what="redriven")
    assert await consumer.effects() == [("o-1", 1, 1)]


@pytest.mark.proves("I5", "I9")
@pytest.mark.parametrize("lost", ["nothing read yet", "half read"])
async def test_a_wiped_redis_is_caught_up_from_the_feed(
    lost: str, replica: MakeReplica, upstream: Upstream
) -> None:
    consumer = await replica()
    handle_all(consumer)
    if lost == "half read":
        await consumer.start()
        await tell_orders(upstream, 10)
        await at_head(consumer, upstream)
    await upstream.relay.stop()
    await tell_orders(upstream, 30)
    # Positions are given by a relay whose Redis is wiped before anybody reads.
    await upstream.relay.start()
    await eventually(lambda: upstream.connections.commands.xlen(KITCHEN))
    head = 40 if lost == "half read" else 30

    async def all_told() -> bool:
        return await upstream.head() == head

    await eventually(all_told)
    await upstream.relay.stop()
    await upstream.connections.commands.flushdb()
    assert await upstream.connections.commands.exists(KITCHEN) == 0 or lost == "half read"
    if lost != "half read":
        await consumer.start()
    await at_head(consumer, upstream)
    effects = await consumer.effects()
    assert len(effects) == len({position for _, _, position in effects}) == head // 2
    assert in_sequence(effects)


@pytest.mark.proves("I5", "I7", "I9")
async def test_an_entry_cut_out_of_the_stream_is_applied_before_the_next_of_its_subject(
    replica: MakeReplica, upstream: Upstream
) -> None:
    """Redis lost o-1's second event; the third must not overtake it."""
    consumer = await replica()
    handle_all(consumer)
    for _ in range(3):
        await upstream.tell(STARTED, "o-1")
        await upstream.tell(STARTED, "o-2")
    await cut_out(upstream, of=6, lost=[2, 3])
    await consumer.start()
    await at_head(consumer, upstream)
    effects = await consumer.effects()
    assert sorted(effects) == [("o-1", n, 2 * n - 1) for n in (1, 2, 3)] + [
        ("o-2", n, 2 * n) for n in (1, 2, 3)
    ]
    assert in_sequence(effects)


@pytest.mark.proves("I5", "I7", "I9")
async def test_catching_up_while_new_events_arrive_and_redis_is_wiped_again(
    replica: MakeReplica, upstream: Upstream
) -> None:
    consumer = await replica()
    handle_all(consumer)
    await tell_orders(upstream, 20)
    await upstream.relay.stop()
    await upstream.connections.commands.flushdb()
    await consumer.start()
    await upstream.relay.start()
    for turn in range(60):
        await upstream.tell(STARTED, f"o-{turn % 5}")
        if turn in (20, 40):
            await upstream.connections.commands.flushdb()
    await at_head(consumer, upstream)
    effects = await consumer.effects()
    assert len(effects) == len({position for _, _, position in effects}) == 70
    assert in_sequence(effects)
    assert await consumer.dead() == 0


@pytest.mark.proves("I5", "I9")
async def test_the_upstream_away_delays_catching_up_and_loses_nothing(
    replica: MakeReplica, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pizzeria_chassis.consumer.FEED_RETRY_SECONDS", 0.05)
    consumer = await replica()
    handle_all(consumer)
    await tell_orders(upstream, 10)
    event = await upstream.tell(STARTED, "o-0")
    await cut_out(upstream, of=11, lost=list(range(10)))
    await upstream.relay.stop()
    upstream.away = True
    await consumer.start()
    await eventually(lambda: upstream.refused > 6, within=30, what="asked more often than three attempts")
    upstream.away = False
    await at_head(consumer, upstream)
    effects = await consumer.effects()
    assert len(effects) == 6
    assert in_sequence(effects)
    assert ("o-0", event.sequence, 11) in effects
    assert await consumer.dead() == 0


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
    await eventually(lambda: tried > 6, within=15, what="tried more often than three attempts")
    assert await consumer.effects() == []
    other.execute("ROLLBACK")
    other.close()
    await at_head(consumer, upstream)
    assert await consumer.effects() == [("o-1", 1, 1)]
    assert await consumer.dead_reasons() == []
    await consumer.stop()


@pytest.mark.proves("I5", "I9")
async def test_killed_between_effect_and_acknowledgement(
    replica: MakeReplica, upstream: Upstream, database_url: str, own_redis: RedisSettings, redis_url: str
) -> None:
    survivor = await replica()
    for number in range(3):
        await upstream.tell(STARTED, f"o-{number}")
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(PROCESS), database_url, redis_url, str(own_redis.db), TOKENS["service"]
    )
    assert await process.wait() == -signal.SIGKILL
    effects = await survivor.effects()
    assert len(effects) >= 1, "the fault happened after a commit"
    pending: Any = await upstream.connections.commands.xpending(KITCHEN, "order")
    assert pending["pending"] >= 1, "and before its acknowledgement"
    handle_all(survivor)
    await survivor.start()
    await at_head(survivor, upstream)
    assert sorted(await survivor.effects()) == [("o-0", 1, 1), ("o-1", 1, 2), ("o-2", 1, 3)]


@pytest.mark.proves("I5", "I7", "I9")
async def test_two_replicas_and_the_reader_goes_away(replica: MakeReplica, upstream: Upstream) -> None:
    one, two = await replica(), await replica()
    for each in (one, two):
        handle_all(each)
        await each.start()
    await tell_orders(upstream, 20)
    await at_head(one, upstream)

    def reading(each: Replica) -> bool:
        return each.streams.checks()[KITCHEN].status == "reading"

    await eventually(lambda: reading(one) or reading(two))
    reader, other = (one, two) if reading(one) else (two, one)
    assert not reading(other)
    await tell_orders(upstream, 10)
    await reader.streams.stop(1.0)
    await tell_orders(upstream, 10)
    await eventually(lambda: reading(other), within=30, what="the other reads")
    await at_head(other, upstream)
    effects = await other.effects()
    assert len(effects) == len({position for _, _, position in effects}) == 20
    assert in_sequence(effects)


@pytest.mark.proves("I5")
async def test_two_replicas_share_partitions_and_one_position(
    replica: MakeReplica, upstream: Upstream
) -> None:
    await upstream.relay.stop()
    upstream.relay = Relay(upstream.database, upstream.connections, streams=[KITCHEN], partitions=2)
    await upstream.relay.start()
    one, two = await replica(partitions=2), await replica(partitions=2)
    for each in (one, two):
        handle_all(each)
        await each.start()
    await tell_orders(upstream, 40, subjects=8)
    await at_head(one, upstream)
    effects = await one.effects()
    assert len(effects) == len({position for _, _, position in effects}) == 20
    assert in_sequence(effects)


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
    async with consumer.database.read() as session:
        (row,) = (
            await session.execute(
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
    await eventually(lambda: upstream.connections.commands.exists(KITCHEN), within=20)
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

    await eventually(buried, within=20)
    assert await consumer.dead_reasons() == ["handler-failed", "rejected"]
    assert await consumer.position() == 41


@pytest.mark.proves("I5", "I6", "I9")
async def test_a_batch_consumer_catches_up_after_a_wipe(replica: MakeReplica, upstream: Upstream) -> None:
    consumer = await replica()

    @consumer.consumer.on_batch
    async def archive(tx: Transaction, events: Sequence[RawEvent]) -> None:
        for event in events:
            await note_effect(tx, event)

    await tell_orders(upstream, 30)
    await upstream.relay.stop()
    await upstream.connections.commands.flushdb()
    await consumer.start()
    await at_head(consumer, upstream)
    assert sorted(position for _, _, position in await consumer.effects()) == list(range(1, 31))


@pytest.mark.proves("I5")
async def test_a_gap_is_closed_without_waiting_for_the_next_comparison(
    replica: MakeReplica, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(_: CatchUp) -> None:
        return

    monkeypatch.setattr(CatchUp, "_compare", never)
    consumer = await replica()
    handle_all(consumer)
    for subject in ("o-1", "o-2", "o-3"):
        await upstream.tell(STARTED, subject)
    await cut_out(upstream, of=3, lost=[1])
    await consumer.start()
    await at_head(consumer, upstream)
    assert sorted(await consumer.effects()) == [("o-1", 1, 1), ("o-2", 1, 2), ("o-3", 1, 3)]


@pytest.mark.proves("I5", "I9")
async def test_a_forged_dead_letter_moves_no_position(replica: MakeReplica, upstream: Upstream) -> None:
    consumer, restarted = await replica(), await replica()
    handle_all(consumer)
    handle_all(restarted)
    await consumer.start()
    event = await upstream.tell(STARTED, "o-1")
    await at_head(consumer, upstream)
    forged = event.model_copy(update={"id": "forged", "type": "pizzeria.order.eaten.v1", "position": 2})
    await upstream.add_event(forged)
    await eventually(consumer.dead, within=20)
    await consumer.streams.stop(1.0)
    await upstream.tell(STARTED, "o-2")
    await cut_out(upstream, of=3, lost=[2])
    await restarted.start()
    await at_head(restarted, upstream)
    assert await restarted.effects() == [("o-1", 1, 1), ("o-2", 1, 2)], (
        "the real second event was not skipped"
    )


@pytest.mark.proves("I9")
async def test_what_is_being_tried_is_not_taken_from_the_feed_as_well(
    replica: MakeReplica, upstream: Upstream
) -> None:
    consumer = await replica()
    attempts = 0

    @consumer.consumer.on(TicketStarted)
    async def slow_and_wrong(tx: Transaction, event: CloudEvent[TicketStarted]) -> None:
        nonlocal attempts
        if event.subject == "bad":
            attempts += 1
            await asyncio.sleep(0.7)  # three attempts take longer than a gap may stay open
            raise RuntimeError("always")

    consumer.consumer.ignore_rest()
    await consumer.start()
    await upstream.tell(STARTED, "bad")
    await upstream.tell(STARTED, "good")
    await at_head(consumer, upstream)
    assert attempts == 3
    assert await consumer.dead_reasons() == ["handler-failed"]


@pytest.mark.proves("I5", "I9")
async def test_redis_wiped_while_an_event_is_in_a_handler(replica: MakeReplica, upstream: Upstream) -> None:
    consumer = await replica()
    entered, blocked = asyncio.Event(), asyncio.Event()

    @consumer.consumer.on(TicketStarted)
    async def handler(tx: Transaction, event: CloudEvent[TicketStarted]) -> None:
        entered.set()
        await blocked.wait()
        await note_effect(tx, event)

    consumer.consumer.ignore_rest()
    await consumer.start()
    await upstream.tell(STARTED)
    await entered.wait()
    term = consumer.consumer._present_terms()
    await upstream.relay.stop()
    await upstream.connections.commands.flushdb()

    def cut_off() -> bool:
        now = consumer.consumer._present_terms()
        return any(now) and now != term

    await eventually(cut_off, within=20, what="another term has begun")
    blocked.set()
    await at_head(consumer, upstream)
    assert await consumer.effects() == [("o-1", 1, 1)]


async def test_what_one_replica_let_pass_beyond_a_gap_another_knows(replica: MakeReplica) -> None:
    one, two = Inbox((await replica()).database, KITCHEN), Inbox((await replica()).database, KITCHEN)
    await one.save_position(1, {3: "e-3", 4: "e-4"})
    assert await two.load() == (1, [3, 4])
    await two.save_position(4, {})
    await one.save_position(2, {})
    assert await two.load() == (4, []), "never back"


async def cut_out(upstream: Upstream, *, of: int, lost: list[int]) -> None:
    """Wait for that many entries, and delete some of them."""

    async def all_there() -> bool:
        return await upstream.connections.commands.xlen(KITCHEN) == of

    await eventually(all_there, within=20)
    entries: Any = await upstream.connections.commands.xrange(KITCHEN)
    await upstream.connections.commands.xdel(KITCHEN, *(entries[index][0] for index in lost))
