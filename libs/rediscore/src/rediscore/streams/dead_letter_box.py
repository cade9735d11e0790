"""What operators do with dead letters: look, correct, send again to their group alone, throw away."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

from rediscore.client import RedisConnections
from rediscore.clock import Clock, SystemClock
from rediscore.errors import RediscoreError
from rediscore.scripts import Argument, Script
from rediscore.streams.audit import AuditEntry, read_audit
from rediscore.streams.letters import Correction, DeadLetter, dead_stream, event_in, read_letter
from rediscore.streams.policy import Reason
from rediscore.streams.sources import redrive_stream

_EDIT = Script.load("rediscore.streams.lua", "letter_edit.lua")
_DROP = Script.load("rediscore.streams.lua", "letter_drop.lua")
_REDRIVE = Script.load("rediscore.streams.lua", "letter_redrive.lua")
_REDRIVE_NEXT = Script.load("rediscore.streams.lua", "letters_redrive.lua")
_COUNTS = Script.load("rediscore.streams.lua", "letter_counts.lua")

_ID = re.compile(r"[0-9]{1,20}-[0-9]{1,20}")
_REQUEST_KEPT_MS = 60_000
_SCANNED_AT_ONCE = 200
_LOOKS_PER_PAGE = 10
_LONGEST_NAME = 100
_LONGEST_WHY = 500


class RedriveFull(RediscoreError):  # noqa: N818  named by the state
    """The group has too much that was sent again and not handled; let it work that off first."""


class NotTheSameEvent(RediscoreError):  # noqa: N818  named by what it is
    """A correction must be a CloudEvent, and keep `id`, `source` and `subject` of the event it corrects."""


@dataclass(frozen=True, slots=True)
class LetterPage:
    """Letters, and where the next page starts; None after the last. A page may be short, even empty,
    before the end: looking for rare letters goes on in the next one."""

    letters: tuple[DeadLetter, ...]
    next: str | None


@dataclass(frozen=True, slots=True)
class RedriveStep:
    """`sent` letters were sent again; go on with `next` (None: nothing is left) after `wait` seconds.
    `full`: the group has as much before it as it may have."""

    sent: int
    next: str | None
    wait: float
    full: bool = False


class DeadLetterBox:
    """The dead letters of all groups for one stream (or partition of it: give the name of its key).

    Every verb is one atomic step on the server and safe to send twice; a letter is in the box or on its
    way to its group, never both, and two operators who send it again at once send it once. What is sent
    again goes through a stream that only the letter's group reads, is handled behind what the group has
    in hand of the same subject, with all attempts anew, and ends handled or as a new letter whose
    `redrives` is one higher. Making it does no I/O.

    On a cluster the stream's name needs a hash tag, as for `ReliableStreams.subscriber`.

    Args:
        capacity: most entries that may be on their way to one group.
    """

    def __init__(
        self,
        connections: RedisConnections,
        stream: str,
        *,
        capacity: int = 10_000,
        clock: Clock | None = None,
    ) -> None:
        self.stream = stream
        self._connections = connections
        self._capacity = capacity
        self._clock = clock or SystemClock()
        dead = dead_stream(stream)
        self._dead = dead
        self._edits, self._counts, self._audit = f"{dead}.edits", f"{dead}.counts", f"{dead}.audit"

    async def page(
        self,
        *,
        group: str | None = None,
        reason: Reason | None = None,
        oldest_first: bool = False,
        after: str | None = None,
        limit: int = 50,
    ) -> LetterPage:
        """Letters by their id. Two round trips per 200 letters looked at, of at most 2000.

        Args:
            after: `next` of the page before.
        """
        found: list[DeadLetter] = []
        for _ in range(_LOOKS_PER_PAGE):
            rows = await self._rows(after, oldest_first, _SCANNED_AT_ONCE)
            corrections = await self._corrections([entry_id for entry_id, _ in rows])
            for entry_id, fields in rows:
                after = entry_id.decode()
                if group is not None and fields[b"group"] != group.encode():
                    continue
                if reason is not None and fields[b"reason"] != reason.encode():
                    continue
                found.append(read_letter(self.stream, after, fields, corrections.get(entry_id)))
                if len(found) == limit:
                    return LetterPage(tuple(found), after)
            if len(rows) < _SCANNED_AT_ONCE:
                return LetterPage(tuple(found), None)
        return LetterPage(tuple(found), after)

    async def get(self, letter_id: str) -> DeadLetter | None:
        """One letter with all that is known; None when it is not (or no longer) there. Two round trips."""
        rows = await self._execute("XRANGE", self._dead, _checked_id(letter_id), letter_id)
        if not rows:
            return None
        entry_id, fields = rows[0]
        corrections = await self._corrections([entry_id])
        return read_letter(self.stream, letter_id, _pairs(fields), corrections.get(entry_id))

    async def edit(self, letter_id: str, body: str | bytes, *, by: str, why: str = "") -> bool:
        """Lay a corrected body beside the letter's entry, in place of an earlier one; sending the letter
        again sends that. Three round trips. False when there is no such letter.

        Raises: NotTheSameEvent.
        """
        letter = await self.get(letter_id)
        if letter is None:
            return False
        body = body.encode() if isinstance(body, str) else body
        _check_same(body, event_in(letter.entry))
        about = json.dumps({"by": by[:_LONGEST_NAME], "why": why[:_LONGEST_WHY], "time": self._now()})
        return bool(await self._change(_EDIT, letter_id, by, why, body, about))

    async def drop(self, letter_id: str, *, by: str, why: str) -> bool:
        """Throw a letter away. One round trip. False when there is no such letter (any more)."""
        return bool(await self._change(_DROP, letter_id, by, why))

    async def redrive(self, letter_id: str, *, by: str, why: str = "") -> bool:
        """Send one letter again. Two round trips. False when there is no such letter (any more): it was
        sent or dropped by somebody else.

        Raises: RedriveFull.
        """
        letter = await self.get(letter_id)
        if letter is None:
            return False
        own = redrive_stream(self.stream, letter.group)
        args = (letter.group, self._capacity)
        moved: int = await self._change(_REDRIVE, letter_id, by, why, *args, keys=[own])
        if moved < 0:
            raise RedriveFull(f"Group {letter.group} works off {self._capacity} entries of {own} first.")
        return bool(moved)

    async def redrive_next(
        self,
        group: str,
        *,
        by: str,
        why: str = "",
        reason: Reason | None = None,
        per_second: float = 10.0,
        after: str | None = None,
    ) -> RedriveStep:
        """Send the next letters of a group again, oldest first, as many as the pace allows at this moment.
        One round trip.

        The pace is kept for the group on the server, so two operators together are no faster than one. Only
        letters that were there at the first step are sent: what becomes a letter again stays one.

        Args:
            after: `next` of the step before; None: begin.
        """
        if per_second <= 0:
            raise ValueError("per_second must be above 0.")
        cursor, _, upto = (after or "").partition("/")
        own = redrive_stream(self.stream, group)
        sent, at, end, wait_ms, full = await self._change(
            _REDRIVE_NEXT,
            cursor,
            by,
            why,
            group,
            self._capacity,
            upto,
            reason or "",
            per_second,
            keys=[own, f"{own}.pace"],
        )
        at, end = at.decode(), end.decode()
        following = None if at == end else f"{at}/{end}"
        return RedriveStep(sent, following, wait_ms / 1000 if following else 0.0, bool(full))

    async def redrive_all(
        self,
        group: str,
        *,
        by: str,
        why: str = "",
        reason: Reason | None = None,
        per_second: float = 10.0,
    ) -> int:
        """Send all letters of a group again at that pace; returns how many. When it is cut off, what was
        not sent is in the box as before: call it again.

        Raises: RedriveFull.
        """
        total = 0
        after: str | None = None
        while True:
            step = await self.redrive_next(
                group, by=by, why=why, reason=reason, per_second=per_second, after=after
            )
            total += step.sent
            if step.full:
                raise RedriveFull(f"Group {group} works off {self._capacity} entries of {self.stream} first.")
            if step.next is None:
                return total
            after = step.next
            await self._clock.sleep(step.wait)

    async def counts(self) -> dict[str, int]:
        """How many letters each group has; groups without any are left out. One round trip."""
        reply = await _COUNTS(self._connections, keys=[self._dead, self._counts], idempotent=True)
        return {group.decode(): int(count) for group, count in _pairs(reply).items()}

    async def on_their_way(self, group: str) -> int:
        """How many entries were sent again and are not handled yet. One round trip."""
        return int(await self._execute("XLEN", redrive_stream(self.stream, group)))

    async def audit(self, *, before: str | None = None, limit: int = 100) -> list[tuple[str, AuditEntry]]:
        """What operators did, newest first, each with its id (`before` of the next call). One round trip.

        Some ten thousand are kept.
        """
        upper = "+" if before is None else f"({_checked_id(before)}"
        rows = await self._execute("XREVRANGE", self._audit, upper, "-", "COUNT", limit)
        return [(entry_id.decode(), read_audit(entry_id, _pairs(fields))) for entry_id, fields in rows]

    async def _rows(
        self, after: str | None, oldest_first: bool, count: int
    ) -> list[tuple[bytes, Mapping[bytes, bytes]]]:
        edge = None if after is None else f"({_checked_id(after)}"
        if oldest_first:
            rows = await self._execute("XRANGE", self._dead, edge or "-", "+", "COUNT", count)
        else:
            rows = await self._execute("XREVRANGE", self._dead, edge or "+", "-", "COUNT", count)
        return [(entry_id, _pairs(fields)) for entry_id, fields in rows]

    async def _corrections(self, ids: list[bytes]) -> dict[bytes, Correction]:
        if not ids:
            return {}
        fields = [field for entry_id in ids for field in (entry_id, entry_id + b":note")]
        values = await self._execute("HMGET", self._edits, *fields)
        found = {}
        for entry_id, body, note in zip(ids, values[::2], values[1::2], strict=True):
            if body is not None and note is not None:
                about = json.loads(note)
                time = datetime.fromisoformat(about["time"])
                found[entry_id] = Correction(body, about["by"], about["why"], time)
        return found

    async def _change(
        self,
        script: Script,
        letter_id: str,
        by: str,
        why: str,
        *args: Argument,
        keys: Sequence[str] = (),
    ) -> Any:
        """Run a script that recognises its own repetition."""
        if not by:
            raise ValueError("Say who does it: the audit names them.")
        request = f"{self._dead}.request.{uuid4().hex}"
        return await script(
            self._connections,
            keys=[self._dead, self._edits, self._counts, self._audit, request, *keys],
            args=[
                _REQUEST_KEPT_MS,
                _checked_id(letter_id) if letter_id else "",
                by[:_LONGEST_NAME],
                why[:_LONGEST_WHY],
                *args,
            ],
            idempotent=True,
        )

    async def _execute(self, *command: Argument) -> Any:
        return await self._connections.execute(*command, idempotent=True)

    def _now(self) -> str:
        return self._clock.now().isoformat()


def _check_same(body: bytes, original: Any) -> None:
    corrected = event_in(body)
    if corrected is None:
        raise NotTheSameEvent("The corrected body is no CloudEvent in JSON.")
    if original is None:
        return
    for name in ("id", "source", "subject"):
        if getattr(corrected, name) != getattr(original, name):
            raise NotTheSameEvent(f"The correction must keep the {name} of the event.")


def _checked_id(letter_id: str) -> str:
    if not _ID.fullmatch(letter_id):
        raise ValueError(f"The id of a letter looks like 1764212345678-0, not {letter_id[:40]!r}.")
    return letter_id


def _pairs(flat: Any) -> dict[bytes, bytes]:
    if isinstance(flat, dict):
        return flat
    return dict(zip(flat[::2], flat[1::2], strict=True))
