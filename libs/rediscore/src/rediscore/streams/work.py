"""One event on its way through a reader."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from rediscore.streams.errors import MalformedEntry
from rediscore.streams.event import DATA_FIELD, RawEvent, decode_entry
from rediscore.streams.policy import Outcome, Reason


@dataclass(frozen=True, slots=True)
class Flaw:
    """Why an event becomes a dead letter."""

    reason: Reason
    error: str


@dataclass(slots=True, eq=False)
class Work:
    """An event, what has happened to it so far, and how it ended.

    `lane` names what must be in sequence. `entry_id` is None for an event that came by another road
    than the stream; then nothing is acknowledged. `failure_field` is where failures are noted for the
    next reader.
    """

    lane: str
    entry_id: bytes | None
    failure_field: bytes
    event: RawEvent | None
    body: bytes
    failures: int = 0
    reclaims: int = 0
    postponed: int = 0
    flaw: Flaw | None = None
    alone: bool = False
    outcome: Outcome | None = None
    done: asyncio.Future[Outcome] | None = None

    def finish(self, outcome: Outcome) -> None:
        """Note the end and tell whoever waits for it."""
        self.outcome = outcome
        if self.done is not None and not self.done.done():
            self.done.set_result(outcome)


def injected_work(event: RawEvent) -> tuple[Work, asyncio.Future[Outcome]]:
    """The work of an event that came by another road, and where its end is told."""
    done: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
    field = b"event:" + event.id.encode()
    return Work(event.subject, None, field, event, event.to_json().encode(), done=done), done


def work_from_entry(entry_id: bytes, fields: Sequence[bytes]) -> Work:
    """The work in a stream entry as scripts return it: field, value, field, value, …

    An entry that holds no event becomes work with a flaw, in a lane of its own.
    """
    pairs = dict(zip(fields[::2], fields[1::2], strict=True))
    body = pairs.get(DATA_FIELD)
    try:
        event = decode_entry(pairs)
    except MalformedEntry as error:
        if body is None:
            body = b" ".join(fields)
        flaw = Flaw(Reason.MALFORMED, str(error))
        return Work(entry_id.decode(), entry_id, entry_id, None, body, flaw=flaw)
    return Work(event.subject, entry_id, entry_id, event, body or b"")
