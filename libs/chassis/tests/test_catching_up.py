"""What the stream did not bring: taken from the feed, in sequence, once."""

import asyncio
from collections.abc import Sequence

import pytest
import structlog
from pizzeria_chassis.catchup import CatchUp
from pizzeria_chassis.testing.events import (
    STARTED,
    MakeReplica,
    Upstream,
    at_head,
    cut_out,
    handle_all,
    in_sequence,
    note_effect,
    tell_orders,
)
from pizzeria_chassis.transaction import Transaction
from pizzeria_contracts.events import TicketStarted
from pizzeria_contracts.streams import KITCHEN
from rediscore.streams.event import CloudEvent, RawEvent
from rediscore.testing import eventually


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
    monkeypatch.setattr("pizzeria_chassis.catchup.COMPARE_SECONDS", 0.3)
    consumer = await replica()
    handle_all(consumer)
    await tell_orders(upstream, 10)
    event = await upstream.tell(STARTED, "o-0")
    await cut_out(upstream, of=11, lost=list(range(10)))
    await upstream.relay.stop()
    upstream.away = True
    with structlog.testing.capture_logs() as logs:
        await consumer.start()
        await eventually(lambda: upstream.refused > 6, within=40, what="asked more often than three attempts")
    assert [line["event"] for line in logs].count("feed_away") == 1, "once, not with each attempt"
    upstream.away = False
    await at_head(consumer, upstream)
    effects = await consumer.effects()
    assert len(effects) == 6
    assert in_sequence(effects)
    assert ("o-0", event.sequence, 11) in effects
    assert await consumer.dead() == 0


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
    await eventually(consumer.dead, within=40)
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
    await upstream.tell(STARTED, "first")
    await at_head(consumer, upstream)  # so the catching up of the start is over
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

    await eventually(cut_off, within=40, what="another term has begun")
    blocked.set()
    await at_head(consumer, upstream)
    assert await consumer.effects() == [("o-1", 1, 1)]
