"""What a reader says of itself; readiness is made of it."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class CheckResult:
    """State of one partition in this instance.

    `reading`: it holds the lease and Redis answered it lately. `standby`: another instance holds the
    lease; that is healthy. `down`: neither; `reason` says why.
    """

    status: Literal["reading", "standby", "down"]
    reason: str = ""

    @property
    def healthy(self) -> bool:
        """Whether this instance does what it should for the partition."""
        return self.status != "down"
