"""A dead letter: what a group could not handle, why, and what was tried."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from rediscore.streams.errors import MalformedEntry
from rediscore.streams.event import DATA_FIELD, RawEvent, decode_entry
from rediscore.streams.policy import Reason

LONGEST_ERROR = 500
LONGEST_TRACEBACK = 4000


@dataclass(frozen=True, slots=True)
class Correction:
    """What an operator wants to be handled instead of the entry; the entry stays beside it."""

    body: bytes
    by: str
    why: str
    time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """An event that a group gave up on.

    Attributes:
        id: its place in the dead-letter stream; empty before it is written.
        error, traceback: bounded; the traceback names places and classes, never values.
        attempts: failures of the handler.
        reclaims: how often it was taken over from a reader that vanished.
        redrives: how often it was a dead letter before and was sent again.
        original_id: of the entry in the stream; empty for an event that came by another road.
        entry: the body as it came, whatever was corrected since.
        event: what is in the body, corrected if it was; None when that is no event.
    """

    stream: str
    group: str
    reason: Reason
    error: str
    attempts: int
    original_id: str
    entry: bytes
    time: datetime
    event: RawEvent | None = None
    id: str = ""
    traceback: str = ""
    reclaims: int = 0
    redrives: int = 0
    correction: Correction | None = None

    def to_fields(self) -> list[str | bytes]:
        """Field, value, field, value, … of its entry in the dead-letter stream."""
        return [
            "group", self.group, "reason", self.reason, "error", self.error, "traceback", self.traceback,
            "attempts", str(self.attempts), "reclaims", str(self.reclaims), "redrives", str(self.redrives),
            "original_id", self.original_id, "entry", self.entry, "time", self.time.isoformat(),
        ]  # fmt: skip


def dead_stream(stream: str) -> str:
    """Where the dead letters of a stream lie; in its slot of a cluster, if its name has a hash tag."""
    return f"{stream}.dead"


def read_letter(
    stream: str, letter_id: str, fields: Mapping[bytes, bytes], correction: Correction | None = None
) -> DeadLetter:
    """The letter in an entry of the dead-letter stream; what older releases did not write is empty."""

    def text(name: bytes) -> str:
        return fields.get(name, b"").decode()

    entry = fields[b"entry"]
    return DeadLetter(
        id=letter_id,
        stream=stream,
        group=text(b"group"),
        reason=Reason(text(b"reason")),
        error=text(b"error"),
        traceback=text(b"traceback"),
        attempts=int(text(b"attempts") or 0),
        reclaims=int(text(b"reclaims") or 0),
        redrives=int(text(b"redrives") or 0),
        original_id=text(b"original_id"),
        entry=entry,
        time=datetime.fromisoformat(text(b"time")),
        event=event_in(correction.body if correction is not None else entry),
        correction=correction,
    )


def event_in(body: bytes) -> RawEvent | None:
    """The event in a body, if it is one."""
    try:
        return decode_entry({DATA_FIELD: body})
    except MalformedEntry:
        return None
