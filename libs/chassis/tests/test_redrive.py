"""Dead events: tried so often and no more, and handled again once when an operator wants it."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from pizzeria_chassis.errors import LetterDecided, NoSuchLetter
from pizzeria_chassis.tables import dead_letter
from pizzeria_chassis.testing.events import (
    STARTED,
    MakeReplica,
    Upstream,
    at_head,
    note_effect,
)
from pizzeria_chassis.transaction import Transaction
from pizzeria_contracts.events import TicketStarted
from pizzeria_contracts.streams import KITCHEN
from rediscore.streams import DeadLetterBox
from rediscore.streams.event import CloudEvent, RawEvent
from rediscore.testing import eventually
from sqlalchemy import update

from libs.chassis.tests.desk import Patient, becomes, operators, waiting


@pytest.mark.proves("I9", "P16")
async def test_a_dead_event_is_handled_again_once_when_redriven(
    replica: MakeReplica, upstream: Upstream
) -> None:
    consumer = await replica()
    patient = Patient(consumer, "o-1")
    await consumer.start()
    for subject in ("o-1", "o-2", "o-1"):
        await upstream.tell(STARTED, subject)
    await at_head(consumer, upstream)
    letters = await waiting(consumer)
    assert [(letter.reason, letter.attempts, letter.subject) for letter in letters] == [
        ("handler-failed", 3, "o-1")
    ] * 2
    assert letters[0].error == "RuntimeError: a bug"
    assert await consumer.effects() == [("o-2", 1, 2)]

    patient.sick.clear()
    await operators(consumer).redrive(letters[0].id, who="manager")
    consumer.consumer.redrive_soon()
    await eventually(becomes(consumer, letters[0], "redriven"))
    assert await consumer.effects() == [("o-2", 1, 2), ("o-1", 1, 1)]
    assert await consumer.dead() == len(await consumer.dead_reasons()) == 1, "the other waits on"
    assert await consumer.position() == 3
    with pytest.raises(LetterDecided, match="is redriven"):
        await operators(consumer).redrive(letters[0].id, who="manager")
    await upstream.tell(STARTED, "o-2")
    await at_head(consumer, upstream)
    assert patient.attempts == {"o-1": 3 + 3 + 1, "o-2": 2}


@pytest.mark.proves("I9", "R18")
async def test_a_dead_event_that_comes_again_is_neither_tried_again_nor_a_second_letter(
    replica: MakeReplica, upstream: Upstream
) -> None:
    consumer = await replica()
    patient = Patient(consumer, "o-1")
    await consumer.start()
    event = await upstream.tell(STARTED)
    await at_head(consumer, upstream)
    patient.sick.clear()
    for _ in range(3):
        await upstream.add_event(event.model_copy(update={"position": 1}))
    await upstream.tell(STARTED, "o-2")
    await at_head(consumer, upstream)

    async def all_acknowledged() -> bool:
        (group,) = await consumer.connections.commands.xinfo_groups(KITCHEN)
        return bool(group["entries-read"] == 5 and group["pending"] == 0)

    await eventually(all_acknowledged)
    assert patient.attempts == {"o-1": 3, "o-2": 1}
    assert len(await waiting(consumer)) == len(await consumer.dead_reasons()) == 1


@pytest.mark.proves("I9", "R18")
async def test_an_event_that_fails_while_a_consumer_starts_is_tried_no_more_often_than_any_other(
    replica: MakeReplica, upstream: Upstream
) -> None:
    """Stream and feed both bring it then: the second of them finds it dead."""
    consumer = await replica()
    patient = Patient(consumer, "o-1")
    for number in range(12):
        await upstream.tell(STARTED, f"o-{number % 4}")
    await eventually(lambda: upstream.connections.commands.xlen(KITCHEN))

    real, injected = consumer.consumer._receive, asyncio.Event()

    async def late(event: RawEvent) -> None:
        # The stream's copy waits until the feed has brought its own.
        await injected.wait()
        await real(event)

    consumer.consumer._receive = late  # type: ignore[method-assign]
    for event_type in list(consumer.consumer._subscriber.routes.by_type):  # type: ignore[union-attr]
        consumer.consumer._subscriber.routes.by_type[event_type] = late  # type: ignore[union-attr]
    await consumer.start()
    catch_up = consumer.consumer._catch_up
    assert catch_up is not None
    await eventually(lambda: len(catch_up._injected) > 0, within=40, what="both roads brought it")
    injected.set()
    await at_head(consumer, upstream)
    dead = await waiting(consumer)
    assert [letter.subject for letter in dead] == ["o-1"] * 3
    assert len(await consumer.dead_reasons()) == 3
    assert patient.attempts == {"o-0": 3, "o-1": 9, "o-2": 3, "o-3": 3}


@pytest.mark.proves("I9", "P16")
@pytest.mark.parametrize("lost", ["redis", "redis and the letter's body"])
async def test_a_letter_that_redis_lost_is_redriven_by_another_reader(
    lost: str, replica: MakeReplica, upstream: Upstream
) -> None:
    """The wish and the event are in the database; what only the inbox knows of, the feed has."""
    consumer, next_reader = await replica(), await replica()
    Patient(consumer, "o-1")
    healthy = Patient(next_reader)
    await consumer.start()
    await upstream.tell(STARTED, "o-2")
    await upstream.tell(STARTED, "o-1")
    await at_head(consumer, upstream)
    (letter,) = await waiting(consumer)
    await consumer.streams.stop(1.0)
    await operators(consumer).redrive(letter.id, who="manager")
    if lost != "redis":

        async def forget(tx: Transaction) -> None:
            await tx.connection.execute(update(dead_letter).values(entry=None))

        await consumer.database.transact(forget)
    await upstream.connections.commands.flushdb()
    assert await consumer.dead_reasons() == [], "the fault happened"
    await next_reader.start()
    await eventually(becomes(consumer, letter, "redriven"), within=40)
    assert sorted(await consumer.effects()) == [("o-1", 1, 2), ("o-2", 1, 1)]
    await at_head(next_reader, upstream)
    assert healthy.attempts == {"o-1": 1}, "what was handled is not handled again"


@pytest.mark.proves("I9", "P16")
async def test_what_fails_again_waits_again_and_what_is_dropped_never_comes_back(
    replica: MakeReplica, upstream: Upstream
) -> None:
    consumer = await replica()
    patient = Patient(consumer, "o-1")
    await consumer.start()
    event = (await upstream.tell(STARTED)).model_copy(update={"position": 1})
    await at_head(consumer, upstream)
    (letter,) = await waiting(consumer)
    desk = operators(consumer)
    await desk.redrive(letter.id, who="manager")
    consumer.consumer.redrive_soon()

    async def failed_again() -> bool:
        again = await desk.letter(letter.id)
        return again.state == "waiting" and again.redrives == 1

    await eventually(failed_again)
    assert patient.attempts == {"o-1": 6}

    await desk.drop(letter.id, reason="never needed", who="manager")
    assert await consumer.dead() == len(await consumer.dead_reasons()) == 0
    patient.sick.clear()
    await upstream.add_event(event)
    await upstream.tell(STARTED, "o-2")
    await at_head(consumer, upstream)
    assert await consumer.effects() == [("o-2", 1, 2)]
    for refused in (desk.redrive(letter.id, who="m"), desk.drop(letter.id, reason="", who="m")):
        with pytest.raises(LetterDecided):
            await refused
    with pytest.raises(NoSuchLetter):
        await desk.letter(letter.id + 1)


@pytest.mark.proves("I9", "P16")
async def test_all_are_redriven_in_their_order_at_the_rate_that_was_asked(
    replica: MakeReplica, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pizzeria_chassis.redrives.LOOK_SECONDS", 3600)  # not before they are looked at here
    consumer = await replica()
    patient = Patient(consumer, *(f"o-{number}" for number in range(3)))
    await consumer.start()
    for number in range(9):
        await upstream.tell(STARTED, f"o-{number % 3}")
    await upstream.add_raw("no event at all")
    await at_head(consumer, upstream)

    async def all_dead() -> bool:
        return len(await waiting(consumer)) == 10

    await eventually(all_dead)
    patient.sick.clear()
    desk = operators(consumer)
    assert await desk.redrive_all(KITCHEN, per_second=100, who="manager") == 9
    (damaged,) = [letter for letter in await waiting(consumer) if not letter.is_event]
    assert damaged.entry == "no event at all"
    with pytest.raises(LetterDecided, match="holds no event"):
        await desk.redrive(damaged.id, who="manager")
    redriving = await desk.letters(stream=None, state="redriving", after=0, limit=100)
    waits = [letter.due_at for letter in redriving if letter.due_at is not None]
    assert (waits[-1] - waits[0]).total_seconds() == pytest.approx(0.08)
    monkeypatch.setattr("pizzeria_chassis.redrives.LOOK_SECONDS", 0.05)
    consumer.consumer.redrive_soon()

    async def all_alive() -> bool:
        return await consumer.dead() == 0

    await eventually(all_alive)
    effects = await consumer.effects()
    assert sorted(position for _, _, position in effects) == list(range(1, 10))
    for subject in ("o-0", "o-1", "o-2"):
        assert [sequence for each, sequence, _ in effects if each == subject] == [1, 2, 3]


@pytest.mark.proves("I9", "P16", "R18")
@pytest.mark.parametrize("batch", [False, True])
async def test_what_is_sent_again_in_redis_is_handled_once_as_well(
    batch: bool, replica: MakeReplica, upstream: Upstream
) -> None:
    """Whoever has only Redis at hand uses the box of rediscore; the database follows."""
    consumer = await replica()
    sick = {"o-1"}

    async def handle(tx: Transaction, event: CloudEvent[Any]) -> None:
        await note_effect(tx, event)
        if event.subject in sick:
            raise RuntimeError("a bug")

    if batch:

        @consumer.consumer.on_batch
        async def archive(tx: Transaction, events: Sequence[RawEvent]) -> None:
            for event in events:
                await handle(tx, event)

    else:
        consumer.consumer.on(TicketStarted)(handle)
        consumer.consumer.ignore_rest()
    await consumer.start()
    event = await upstream.tell(STARTED)
    await at_head(consumer, upstream)
    (letter,) = await waiting(consumer)
    sick.clear()
    box = DeadLetterBox(consumer.connections, KITCHEN)
    assert await box.redrive_all("order", by="luigi") == 1
    await eventually(becomes(consumer, letter, "redriven"))
    await upstream.add_event(event.model_copy(update={"position": 1}))
    await upstream.tell(STARTED)
    await at_head(consumer, upstream)
    assert await consumer.effects() == [("o-1", 1, 1), ("o-1", 2, 2)]


@pytest.mark.proves("I9", "P16")
async def test_a_batch_consumer_redrives_as_well(replica: MakeReplica, upstream: Upstream) -> None:
    consumer = await replica()
    sick = {"o-1"}

    @consumer.consumer.on_batch
    async def archive(tx: Transaction, events: Sequence[RawEvent]) -> None:
        for event in events:
            await note_effect(tx, event)
            if event.subject in sick:
                raise RuntimeError("a bug")

    await consumer.start()
    event = (await upstream.tell(STARTED, "o-1")).model_copy(update={"position": 1})
    await upstream.tell(STARTED, "o-2")
    await at_head(consumer, upstream)
    (letter,) = await waiting(consumer)
    sick.clear()
    await upstream.add_event(event)
    await upstream.tell(STARTED, "o-2")
    await at_head(consumer, upstream)
    assert await consumer.effects() == [("o-2", 1, 2), ("o-2", 2, 3)], "dead until somebody decides"
    await operators(consumer).redrive(letter.id, who="manager")
    consumer.consumer.redrive_soon()
    await eventually(becomes(consumer, letter, "redriven"))
    assert (await consumer.effects())[2:] == [("o-1", 1, 1)]


@pytest.mark.proves("I9")
async def test_ids_that_nobody_could_store_are_letters_too(replica: MakeReplica, upstream: Upstream) -> None:
    """Whoever writes to Redis can make up anything; it must not hold up what is real."""
    consumer = await replica()
    Patient(consumer)
    await consumer.start()
    event = await upstream.tell(STARTED)
    for forged in ("x" * 300, "nul\x00nul"):
        bad = {"id": forged, "subject": f"o{forged}", "type": "pizzeria.never\x00heard.v1"}
        await upstream.add_event(event.model_copy(update=bad))
    await upstream.tell(STARTED)
    await at_head(consumer, upstream)

    async def both() -> bool:
        return len(await waiting(consumer)) == 2

    await eventually(both)
    assert await consumer.effects() == [("o-1", 1, 1), ("o-1", 2, 2)]
