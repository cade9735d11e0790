"""What an operator has corrected is handled in the place of what came."""

import asyncio
from typing import Any

import pytest
from pizzeria_chassis.errors import EditRefused
from pizzeria_chassis.testing.events import (
    MakeReplica,
    Upstream,
)
from rediscore.testing import eventually

from libs.chassis.tests.desk import Patient, becomes, dead_and_healthy, operators


@pytest.mark.proves("I9", "P16")
async def test_an_edited_event_is_handled_in_its_place(replica: MakeReplica, upstream: Upstream) -> None:
    consumer = await replica()
    Patient(consumer)
    letter, event, healed = await dead_and_healthy(consumer, upstream)
    desk = operators(consumer)
    edits: list[tuple[dict[str, Any], str]] = [
        ({"id": "other"}, "/id"),
        ({"subject": "o-9"}, "/subject"),
        ({"position": 7}, "/position"),
        ({"type": "pizzeria.order.placed.v1"}, "/type"),
        ({"data": {"ticket_id": "t-1"}}, "/data/station_id"),
    ]
    for change, pointer in edits:
        with pytest.raises(EditRefused) as refused:
            await desk.edit(letter.id, event.model_copy(update=change), who="manager")
        assert refused.value.pointer == pointer
    await desk.edit(letter.id, healed, who="manager")
    # A copy of the original comes once more, before and after: it is not what is wanted.
    await upstream.add_event(event)
    await desk.redrive(letter.id, who="manager")
    await upstream.add_event(event)
    await eventually(becomes(consumer, letter, "redriven"))
    assert await consumer.effects() == [("o-1", 1, 1)]
    assert [(deed.action, deed.detail) for deed in await desk.log(before=None, limit=10)] == [
        ("redrive", "edited"),
        ("edit", ""),
    ]


@pytest.mark.proves("I9", "P16")
async def test_a_copy_that_waits_before_the_redriven_one_is_handled_as_edited(
    replica: MakeReplica, upstream: Upstream
) -> None:
    consumer = await replica()
    patient = Patient(consumer)
    letter, event, healed = await dead_and_healthy(consumer, upstream)
    desk = operators(consumer)
    await desk.edit(letter.id, healed, who="manager")
    held_up = asyncio.Event()

    def paused(_: str) -> bool:
        held_up.set()
        return True

    consumer.consumer.paused = paused
    await upstream.add_event(event)
    await asyncio.wait_for(held_up.wait(), 10)
    await desk.redrive(letter.id, who="manager")
    redrives = consumer.consumer._redrives
    assert redrives is not None
    await eventually(lambda: event.id in redrives)
    consumer.consumer.paused = lambda _: False
    await eventually(becomes(consumer, letter, "redriven"))
    assert await consumer.effects() == [("o-1", 1, 1)]
    assert patient.attempts == {"o-1": 4}  # three of the broken one, and one
