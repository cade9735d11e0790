"""An inbox that stays small, and still knows what it has handled."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from pizzeria_chassis.forgetting import forget_decisions, forget_handled
from pizzeria_chassis.inbox import Inbox
from pizzeria_chassis.operators import Operators
from pizzeria_chassis.tables import dead_letter, inbox
from pizzeria_chassis.testing.events import (
    STARTED,
    MakeReplica,
    Replica,
    Upstream,
    at_head,
    handle_all,
    note_effect,
)
from pizzeria_chassis.transaction import Transaction
from pizzeria_contracts.events import StockLow
from pizzeria_contracts.streams import KITCHEN
from rediscore.streams.event import CloudEvent, RawEvent
from sqlalchemy import func, select


async def rows(replica: Replica) -> dict[str, int]:
    async with replica.database.read() as connection:
        query = select(inbox.c.status, func.count().label("n")).group_by(inbox.c.status)
        return {row.status: row.n for row in await connection.execute(query)}


async def forget(replica: Replica, *, older: timedelta = timedelta()) -> None:
    """Twice: it is said in one transaction and done in the next."""
    for _ in range(2):
        before = replica.database.clock.now() - older
        await forget_handled(replica.database, KITCHEN, before=before)


async def handled(replica: Replica, upstream: Upstream, count: int) -> list[RawEvent]:
    """Events that the replica has applied, with one in their middle that is dead."""
    handle_all(replica)

    @replica.consumer.on(StockLow)
    async def never(tx: Transaction, event: CloudEvent[StockLow]) -> None:
        raise RuntimeError("a bug")

    await replica.start()
    told = [await upstream.tell(STARTED, f"o-{number}") for number in range(count - 1)]
    told.insert(1, await upstream.tell(StockLow(ingredient="basil"), "basil"))
    await at_head(replica, upstream)
    return told


@pytest.mark.proves("I9")
async def test_what_was_forgotten_has_no_second_effect(replica: MakeReplica, upstream: Upstream) -> None:
    consumer = await replica()
    told = await handled(consumer, upstream, 6)
    await forget(consumer)
    assert await rows(consumer) == {"dead": 1}, "nothing else is left, what is dead stays"
    places = {event.id: place for place, event in enumerate([told[0], *told[2:], told[1]], start=1)}
    late = Inbox(consumer.database, KITCHEN)

    async def again(tx: Transaction, event: CloudEvent[Any]) -> None:
        await note_effect(tx, event)

    async def all_again(tx: Transaction, events: Sequence[RawEvent]) -> None:
        for event in events:
            await note_effect(tx, event)

    copies = [event.model_copy(update={"position": places[event.id]}) for event in told]
    for copy in copies:
        assert not await late.apply(copy, again)
    assert await late.apply_batch(copies, all_again) == 0
    assert len(await consumer.effects()) == 5
    await upstream.tell(STARTED, "o-9")
    await at_head(consumer, upstream)
    assert len(await consumer.effects()) == 6, "what is new is handled"


async def test_only_what_is_old_and_below_the_position_is_forgotten(
    replica: MakeReplica, upstream: Upstream
) -> None:
    consumer = await replica()
    await handled(consumer, upstream, 5)
    await forget(consumer, older=timedelta(hours=1))
    assert await rows(consumer) == {"applied": 4, "dead": 1}
    beyond = (await upstream.tell(STARTED)).model_copy(update={"id": "beyond", "position": 99})
    await consumer.stop()
    await Inbox(consumer.database, KITCHEN).apply(beyond, note_effect)
    await forget(consumer)
    assert (await rows(consumer))["applied"] >= 1
    async with consumer.database.read() as connection:
        left = (await connection.execute(select(inbox.c.event_id).where(inbox.c.position == 99))).scalar()
    assert left == "beyond", "the position has not come there"


async def test_a_row_goes_only_after_its_position_was_told(replica: MakeReplica, upstream: Upstream) -> None:
    consumer = await replica()
    await handled(consumer, upstream, 4)
    now = consumer.database.clock.now
    assert await forget_handled(consumer.database, KITCHEN, before=now()) == 0
    assert (await rows(consumer))["applied"] == 3
    assert await forget_handled(consumer.database, KITCHEN, before=now()) == 3


async def test_decisions_are_forgotten_and_letters_that_wait_are_not(
    replica: MakeReplica, upstream: Upstream
) -> None:
    consumer = await replica()
    await handled(consumer, upstream, 2)
    desk = Operators(consumer.database)
    (letter,) = await desk.letters(stream=None, state="waiting", after=0, limit=9)
    now = consumer.database.clock.now
    await forget_decisions(consumer.database, before=now())
    assert await desk.letter(letter.id) == letter
    await desk.drop(letter.id, reason="no pizza needs it", who="manager")
    await forget_decisions(consumer.database, before=now() - timedelta(days=1))
    assert [deed.detail for deed in await desk.log(before=None, limit=9)] == ["no pizza needs it"]
    await forget_decisions(consumer.database, before=now())
    async with consumer.database.read() as connection:
        assert (await connection.execute(select(func.count()).select_from(dead_letter))).scalar() == 0
    assert await desk.log(before=None, limit=9) == []
