"""What the queue takes and hands out."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

State = Literal["ready", "delayed", "leased", "dead"]


@dataclass(frozen=True, slots=True)
class NewEntry:
    """An entry to be put in; see `PriorityQueue.add`."""

    entry_id: str
    payload: bytes = b""
    priority: str = "standard"
    delay: timedelta | None = None


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
class Done:
    """Work on a claim that has ended well, and what came of it."""

    claim: Claim
    result: bytes
    """Kept under the entry's id for the `result_ttl` of the queue; not empty."""


@dataclass(frozen=True, slots=True)
class QueuedEntry:
    """An entry as `peek` sees it."""

    entry_id: str
    payload: bytes
    state: State
    priority: str
    entered_at: datetime
    due_at: datetime
    """Ready: when it came in; delayed: when it becomes ready; leased: when the lease ends; dead: since."""
    failures: int
    recoveries: int
    """How often a lease on it ran out."""
    owner: str
    """Of the lease; empty when nobody holds it."""
    reason: str
    """Of the last failure; empty when there was none."""


@dataclass(frozen=True, slots=True)
class QueueStats:
    """Number of entries in each state, from one instant."""

    ready: int
    delayed: int
    leased: int
    dead: int
    oldest_age_seconds: float | None
    """Since the oldest ready entry came in; None when none is ready."""


@dataclass(frozen=True, slots=True)
class QueueAudit:
    """What `PriorityQueue.audit` found."""

    checked: int
    """Records looked at: those of what is done and remembered, too, and one of the queue's own."""
    faults: list[str]
    """A sentence for each; about a hundred at most."""
