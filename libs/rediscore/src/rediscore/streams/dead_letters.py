"""Writing dead letters: once each, and counted."""

import traceback
from dataclasses import dataclass

from rediscore.client import RedisConnections
from rediscore.clock import Clock
from rediscore.scripts import Script
from rediscore.streams.lease import PartitionLease
from rediscore.streams.letters import LONGEST_ERROR, LONGEST_TRACEBACK, DeadLetter, dead_stream
from rediscore.streams.policy import Reason
from rediscore.streams.work import Flaw, Work

_WRITE = Script.load("rediscore.streams.lua", "dead_letter.lua")

FAILURES_KEPT_MS = 24 * 3600 * 1000
_MARK = b"dead:"


@dataclass(frozen=True, slots=True)
class Written:
    """Where a letter lies now, and how many older ones had to go for it."""

    letter_id: str
    displaced: int


class DeadLetters:
    """Writes the dead letters of one group for one stream (or partition of it).

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
            error=flaw.error[:LONGEST_ERROR],
            traceback=flaw.traceback[-LONGEST_TRACEBACK:],
            attempts=work.failures,
            reclaims=work.reclaims,
            redrives=work.redrives,
            original_id=work.original_id,
            entry=work.body,
            time=self._clock.now(),
            event=work.event,
        )

    async def write(self, letter: DeadLetter, work: Work, lease: PartitionLease | None) -> Written | None:
        """Write it. None when that was done before, or the entry has ended elsewhere.

        One round trip, safe to send twice.

        Raises: LeaseLost when another reader is responsible now.
        """
        dead = dead_stream(self._stream)
        reply = await _WRITE(
            self._connections,
            keys=[
                dead,
                f"{dead}.edits",
                f"{dead}.counts",
                self._failures_key,
                lease.key if lease else self._failures_key,
                work.source.stream if work.source else self._stream,
            ],
            args=[
                lease.token if lease else "",
                work.failure_field,
                mark(letter),
                FAILURES_KEPT_MS,
                self._max_length,
                work.entry_id or "",
                *letter.to_fields(),
            ],
        )
        if reply is None and lease is not None:
            raise lease.lost()
        letter_id, displaced = reply
        return Written(letter_id.decode(), displaced) if letter_id else None


def places(error: BaseException) -> str:
    """Where an error and its causes came from: frames and classes, without messages, which may quote what
    people wrote. The last one is what the handler raised."""
    parts: list[str] = []
    seen: BaseException | None = error
    while seen is not None and len(parts) < 10:
        frames = "".join(traceback.format_tb(seen.__traceback__))
        parts.append(f"{frames}{type(seen).__module__}.{type(seen).__qualname__}\n")
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)
    return "\n".join(reversed(parts))


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
