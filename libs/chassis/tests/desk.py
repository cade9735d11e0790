"""Handlers that fail until they are healed, and an operator who looks at their letters."""

from collections.abc import Callable, Sequence
from typing import Any

from pizzeria_chassis.letter_copies import LetterCopies
from pizzeria_chassis.letters import Letter
from pizzeria_chassis.operators import Operators
from pizzeria_chassis.testing.events import Replica, Upstream, at_head, note_effect
from pizzeria_chassis.transaction import Transaction
from pizzeria_contracts.events import TicketCompleted, TicketStarted
from pizzeria_contracts.streams import KITCHEN
from rediscore.streams.event import CloudEvent, RawEvent


class Patient:
    """A handler that fails for some subjects until it is healed, and counts its attempts."""

    def __init__(self, consumer: Replica, *sick: str) -> None:
        self.sick = set(sick)
        self.attempts: dict[str, int] = {}
        consumer.consumer.on(TicketStarted)(self.handle)
        consumer.consumer.on(TicketCompleted)(self.handle)
        consumer.consumer.ignore_rest()

    async def handle(self, tx: Transaction, event: CloudEvent[Any]) -> None:
        self.attempts[event.subject] = self.attempts.get(event.subject, 0) + 1
        await note_effect(tx, event)
        if event.subject in self.sick or getattr(event.data, "station_id", "") == "broken":
            raise RuntimeError("a bug")


async def dead_and_healthy(consumer: Replica, upstream: Upstream) -> tuple[Letter, RawEvent, RawEvent]:
    """A letter about an event that `Patient` cannot handle, that event, and what an operator makes of it."""
    await consumer.start()
    await upstream.tell(TicketStarted(ticket_id="t-1", station_id="broken"), "o-1")
    await at_head(consumer, upstream)
    (letter,) = await waiting(consumer)
    event = letter.event()
    assert event is not None
    healed = {"ticket_id": "t-1", "station_id": "oven-1"}
    return letter, event, event.model_copy(update={"data": healed})


def operators(replica: Replica) -> Operators:
    return Operators(replica.database, copies=LetterCopies(replica.connections))


async def waiting(replica: Replica) -> Sequence[Letter]:
    return await operators(replica).letters(stream=KITCHEN, state="waiting", after=0, limit=100)


async def state_of(replica: Replica, letter: Letter) -> str:
    return (await operators(replica).letter(letter.id)).state


def becomes(replica: Replica, letter: Letter, state: str) -> Callable[[], Any]:
    async def it_is() -> bool:
        return await state_of(replica, letter) == state

    return it_is
