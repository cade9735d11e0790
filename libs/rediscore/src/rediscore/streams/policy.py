"""How often an event is tried, and how trying can end."""

from dataclasses import dataclass, field
from enum import StrEnum

from rediscore.retry import Backoff


class Outcome(StrEnum):
    """How an event ended in this group."""

    HANDLED = "handled"
    IGNORED = "ignored"
    DEAD = "dead"


class Reason(StrEnum):
    """Why an event became a dead letter."""

    MALFORMED = "malformed"
    UNKNOWN_TYPE = "unknown-type"
    INVALID_PAYLOAD = "invalid-payload"
    HANDLER_FAILED = "handler-failed"
    RECLAIM_LIMIT = "reclaim-limit"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """Bounds of trying.

    Args:
        max_attempts: failures of the handler after which the event is a dead letter.
        backoff: pause before the next attempt; only events of the same subject wait meanwhile.
        max_reclaims: how often an event may be taken over from a reader that vanished while it was
            in its hands. Higher than `max_attempts`: most crashes are not the event's fault.
        timeout: seconds that one attempt may take.
    """

    max_attempts: int = 5
    backoff: Backoff = field(default_factory=lambda: Backoff(0.1, 10.0))
    max_reclaims: int = 20
    timeout: float = 60.0

    def __post_init__(self) -> None:
        if self.max_attempts < 1 or self.max_reclaims < 1 or self.timeout <= 0:
            raise ValueError("A retry policy needs at least one attempt, one reclaim and time for them.")
