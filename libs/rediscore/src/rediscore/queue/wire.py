"""How the queue's verbs and answers travel."""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from rediscore.queue.entries import Claim, Done, NewEntry, QueuedEntry, State
from rediscore.scripts import Argument

AT_ONCE: Final = 1000
"""The most entries that one verb takes in one round trip."""

_CLAIM_FIELDS = 6


def ms(duration: timedelta) -> int:
    """Whole milliseconds."""
    return round(duration.total_seconds() * 1000)


def at(milliseconds: int) -> datetime:
    """A moment by the server's clock."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def arrivals(entries: Iterable[NewEntry], start_of: Callable[[str], int]) -> list[Argument]:
    """Id, payload, class, its head start and delay of each. Raises: ValueError."""
    arguments: list[Argument] = []
    for entry in entries:
        if not entry.entry_id:
            raise ValueError("An entry needs an id.")
        delay = 0 if entry.delay is None else ms(entry.delay)
        arguments += (entry.entry_id, entry.payload, entry.priority, start_of(entry.priority), delay)
    return arguments


def pairs(claims: Iterable[Claim]) -> list[Argument]:
    """Id and token of each."""
    return [part for claim in claims for part in (claim.entry_id, claim.token)]


def ends(done: Iterable[Claim | Done]) -> list[Argument]:
    """Id, token and result of each."""
    arguments: list[Argument] = []
    for end in done:
        if isinstance(end, Done):
            arguments += (end.claim.entry_id, end.claim.token, end.result)
        else:
            arguments += (end.entry_id, end.token, b"")
    return arguments


def claims_of(reply: Sequence[Any]) -> list[Claim]:
    """What `claim.lua` answers behind its first two parts."""
    return [
        Claim(entry_id.decode(), payload, priority.decode(), token, at(lease_until), attempt)
        for entry_id, payload, priority, token, lease_until, attempt in (
            reply[first : first + _CLAIM_FIELDS] for first in range(2, len(reply), _CLAIM_FIELDS)
        )
    ]


def entry_of(row: Sequence[Any], state: State) -> QueuedEntry:
    """One row of what `peek.lua` answers."""
    entry_id, payload, priority, entered, due, failures, recoveries, owner, reason = row
    return QueuedEntry(
        entry_id=entry_id.decode(),
        payload=payload,
        state=state,
        priority=priority.decode(),
        entered_at=at(entered),
        due_at=at(due),
        failures=failures,
        recoveries=recoveries,
        owner=owner.decode(),
        reason=reason.decode(),
    )
