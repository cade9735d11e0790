"""What the queue hands out."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to work on one entry until `lease_until`, by the server's clock.

    `token` is larger than that of every claim before it in this queue: store it beside the effect and
    refuse smaller ones, then a worker that was paused beyond its lease can do no harm.
    """

    entry_id: str
    payload: bytes
    priority: str
    token: int
    lease_until: datetime
    attempt: int
    """1 for the first; failures count, leases that ran out do not."""


@dataclass(frozen=True, slots=True)
class QueuedEntry:
    """A ready entry, as `peek` sees it."""

    entry_id: str
    payload: bytes
    priority: str
    entered_at: datetime
    failures: int
    recoveries: int
    """How often a lease on it ran out."""


@dataclass(frozen=True, slots=True)
class DeadEntry(QueuedEntry):
    """An entry that failed too often, with the reason of the last failure."""

    reason: str


@dataclass(frozen=True, slots=True)
class QueueStats:
    """Number of entries in each state, from one instant."""

    ready: int
    delayed: int
    leased: int
    dead: int
    oldest_age_seconds: float | None
    """Since the oldest ready entry came in; None when none is ready."""
