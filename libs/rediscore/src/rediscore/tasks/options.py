"""How tasks are tried."""

from dataclasses import dataclass, field

from rediscore.retry import Backoff


@dataclass(frozen=True, slots=True)
class Retry:
    """Which failures are tried again, how often and when.

    Args:
        max_attempts: the first one included. Lost workers do not count: the queue has a limit for them.
        backoff: pauses, with full jitter unless it says otherwise.
        on: errors that may pass; any other makes the task dead at once.
    """

    max_attempts: int = 5
    backoff: Backoff = field(default_factory=lambda: Backoff(1.0, 300.0))
    on: tuple[type[Exception], ...] = (Exception,)

    def __post_init__(self) -> None:
        if self.max_attempts < 1:
            raise ValueError("A task needs max_attempts >= 1.")
