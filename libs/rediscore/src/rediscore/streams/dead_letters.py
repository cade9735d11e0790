"""The stream `<stream>.dead`: what a group could not handle, and why."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rediscore.client import RedisConnections
from rediscore.clock import Clock
from rediscore.retry import run_idempotent
from rediscore.scripts import Script
from rediscore.streams.event import RawEvent
from rediscore.streams.lease import PartitionLease
from rediscore.streams.policy import Reason
from rediscore.streams.work import Flaw, Work

_WRITE = Script.load("rediscore.streams.lua", "dead_letter.lua")

FAILURES_KEPT_MS = 24 * 3600 * 1000
_MARK = b"dead:"
_LONGEST_ERROR = 500


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An event that a group gave up on. `event` is None when the entry held none.

    `original_id` is empty for an event that came by another road than the stream.
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


def dead_stream(stream: str) -> str:
    """Where the dead letters of a stream lie; in its slot of a cluster, if its name has a hash tag."""
    return f"{stream}.dead"


class DeadLetters:
    """Dead letters of one group for one stream (or partition of it).

    Args:
        max_length: the oldest letters beyond it are dropped.
    """

    def __init__(
        self,
        connections: RedisConnections,
        *,
        stream: str,
        group: str,
        failures_key: str,
        clock: Clock,
        max_length: int,
    ) -> None:
        self._connections = connections
        self._stream = stream
        self._group = group
        self._failures_key = failures_key
        self._clock = clock
        self._max_length = max_length

    def letter(self, work: Work, flaw: Flaw) -> DeadLetter:
        """The letter for a work, to be written."""
        return DeadLetter(
            stream=self._stream,
            group=self._group,
            reason=flaw.reason,
            error=flaw.error[:_LONGEST_ERROR],
            attempts=work.failures,
            original_id=work.entry_id.decode() if work.entry_id is not None else "",
            entry=work.body,
            time=self._clock.now(),
            event=work.event,
        )

    async def write(self, letter: DeadLetter, work: Work, lease: PartitionLease | None) -> bool:
        """Write it unless that was done before, or the entry has ended elsewhere; False then. One round trip,
        safe to send twice.

        Raises: LeaseLost when another reader is responsible now.
        """
        fields: list[str | bytes] = ["group", letter.group, "reason", letter.reason, "error", letter.error]
        fields += ["attempts", str(letter.attempts), "original_id", letter.original_id]
        fields += ["entry", letter.entry, "time", letter.time.isoformat()]
        written = await _WRITE(
            self._connections,
            keys=[
                dead_stream(self._stream),
                self._failures_key,
                lease.key if lease else self._failures_key,
                self._stream,
            ],
            args=[
                lease.token if lease else "",
                work.failure_field,
                mark(letter),
                FAILURES_KEPT_MS,
                self._max_length,
                work.entry_id or "",
                *fields,
            ],
        )
        if written is None and lease is not None:
            raise lease.lost()
        return bool(written)

    async def read(self, count: int = 100) -> list[DeadLetter]:
        """The newest letters of this group among the newest `count` of the stream. One round trip."""
        rows: Any = await run_idempotent(
            lambda: self._connections.commands.xrevrange(dead_stream(self._stream), count=count)
        )
        letters = []
        for _, fields in rows:
            text = {name.decode(): value for name, value in fields.items()}
            if text["group"].decode() != self._group:
                continue
            letters.append(
                DeadLetter(
                    stream=self._stream,
                    group=self._group,
                    reason=Reason(text["reason"].decode()),
                    error=text["error"].decode(),
                    attempts=int(text["attempts"]),
                    original_id=text["original_id"].decode(),
                    entry=text["entry"],
                    time=datetime.fromisoformat(text["time"].decode()),
                )
            )
        return letters


def mark(letter: DeadLetter) -> bytes:
    """What is noted beside the failures of an event whose letter is written."""
    return f"dead:{letter.attempts}:{letter.reason}:{letter.error}".encode()


def recall(work: Work, noted: bytes | None) -> None:
    """Give a work the failures that an earlier reader noted."""
    if noted is None:
        return
    if not noted.startswith(_MARK):
        work.failures = int(noted)
        return
    _, failures, reason, error = noted.decode().split(":", 3)
    work.failures = int(failures)
    work.flaw = Flaw(Reason(reason), error)
