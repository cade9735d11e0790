"""How long to wait between attempts, and how many to make. Knows no client library."""

import random as random_module
from dataclasses import dataclass, field
from random import Random


@dataclass(frozen=True, slots=True)
class Backoff:
    """Pauses that grow: `initial · multiplier^(attempt-1)` seconds, at most `maximum`.

    With jitter (full: anything between nothing and that) many who failed together do not come back together.
    """

    initial: float
    maximum: float
    multiplier: float = 2.0
    jitter: bool = True

    def __post_init__(self) -> None:
        if not (0 <= self.initial <= self.maximum and self.multiplier >= 1):
            raise ValueError("A backoff needs 0 <= initial <= maximum and multiplier >= 1.")

    def delay(self, attempt: int, random: Random | None = None) -> float:
        """Seconds to wait after the failed attempt with this number, counted from 1."""
        # The exponent is bounded because a float overflows long before a patient loop gives up.
        ceiling = min(self.maximum, self.initial * self.multiplier ** min(max(attempt, 1) - 1, 60))
        if not self.jitter:
            return ceiling
        return (random or random_module).uniform(0, ceiling)


@dataclass(frozen=True, slots=True)
class RetryBudget:
    """How long it is worth trying: `retries` after the first attempt, all within `seconds`."""

    retries: int = 6
    backoff: Backoff = field(default_factory=lambda: Backoff(0.02, 0.5))
    seconds: float = 5.0
