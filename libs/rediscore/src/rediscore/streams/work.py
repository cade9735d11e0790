"""One event on its way through a reader."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from rediscore.streams.errors import MalformedEntry
from rediscore.streams.event import DATA_FIELD, RawEvent, decode_entry
from rediscore.streams.policy import Outcome, Reason
from rediscore.streams.sources import Source


@dataclass(frozen=True, slots=True)
class Flaw:
    """Why an event becomes a dead letter."""

    reason: Reason
    error: str
    traceback: str = ""


@dataclass(slots=True, eq=False)
class Work:
    """An event, what has happened to it so far, and how it ended.

    `lane` names what must be in sequence. `entry_id` and `source` are None for an event that came by
    another road than a stream; then nothing is acknowledged. `failure_field` is where failures are noted
    for the next reader; no two works of a group have the same. `original_id` is that of the entry in the
    stream that all read. `pause` are the seconds until its next attempt. `touched` is a monotonic time at
    which it was surely ours; `dropped` means that it is another's now. `number` counts works as they came.
    """

    lane: str
    entry_id: bytes | None
    failure_field: bytes
    event: RawEvent | None
    body: bytes
    source: Source | None = None
    original_id: str = ""
    redrives: int = 0
    failures: int = 0
    reclaims: int = 0
    postponed: int = 0
    flaw: Flaw | None = None
    alone: bool = False
    number: int = 0
    pause: float = 0.0
    touched: float = 0.0
    running: bool = False
    dropped: bool = False
    outcome: Outcome | None = None
    done: asyncio.Future[Outcome] | None = None

    @property
    def ended(self) -> bool:
        """Whether this reader has nothing more to do with it."""
        return self.dropped or self.outcome is not None

    @property
    def is_sent_again(self) -> bool:
        """Whether an operator sent it, to this group alone; such a work is handled alone."""
        return self.source is not None and self.source.own

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


def work_from_entry(entry_id: bytes, fields: Sequence[bytes], source: Source) -> Work:
    """The work in a stream entry as scripts return it: field, value, field, value, …

    An entry that holds no event becomes work with a flaw, in a lane of its own. What was sent again is
    handled alone: it may spoil a batch as it did before.
    """
    pairs = dict(zip(fields[::2], fields[1::2], strict=True))
    body = pairs.get(DATA_FIELD)
    work = Work(entry_id.decode(), entry_id, source.prefix + entry_id, None, body or b"", source)
    work.original_id = work.lane
    if source.own:
        work.original_id = pairs.get(b"original_id", b"").decode()
        work.redrives = int(pairs.get(b"redrives", b"1"))
        work.alone = True
    try:
        work.event = decode_entry(pairs)
        work.lane = work.event.subject
    except MalformedEntry as error:
        if body is None:
            work.body = b" ".join(fields)
        work.flaw = Flaw(Reason.MALFORMED, str(error))
    return work
