"""How a limit counts. Each is a few numbers for the script; all times are the server's."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

_MICROSECOND: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class SlidingWindow:
    """At most `limit` in every window of length `per`; a count per slice of the window.

    Slices that reach into the window count in full, so no window ever holds more than `limit`, and what
    was used comes back up to a slice late. One hash of at most `slices` + 1 counts per key, whatever the
    limit. The right one unless there is a reason.
    """

    limit: int
    per: timedelta
    slices: int = 20
    name: str | None = None

    def __post_init__(self) -> None:
        _check(self.limit, self.per)
        if not 1 <= self.slices <= 100:
            raise ValueError("A window has 1 to 100 slices.")

    @property
    def spec(self) -> tuple[str, int, int, int]:
        """Kind, capacity, length and slice (µs): what the script needs."""
        width = -(-_us(self.per) // self.slices)
        return "window", self.limit, width * self.slices, width

    @property
    def window(self) -> timedelta:
        """After so long without calls the whole limit is there again."""
        return self.per


@dataclass(frozen=True, slots=True)
class SlidingLog:
    """At most `limit` in every window of length `per`, to the microsecond; a log entry per admitted call.

    For small limits where the moment matters: memory grows with the calls in the window.
    """

    limit: int
    per: timedelta
    name: str | None = None

    def __post_init__(self) -> None:
        _check(self.limit, self.per)

    @property
    def spec(self) -> tuple[str, int, int, int]:
        """Kind, capacity, length (µs): what the script needs."""
        return "log", self.limit, _us(self.per), 0

    @property
    def window(self) -> timedelta:
        """After so long without calls the whole limit is there again."""
        return self.per


@dataclass(frozen=True, slots=True)
class GCRA:
    """One call every `per / limit`, and up to `burst` at once after a rest; one number per key.

    Smooth: what is used comes back bit by bit. A window of length `per` may hold `burst` + `limit`.
    (The generic cell rate algorithm, ITU-T I.371; a leaky bucket as a meter.)

    Args:
        burst: `limit` unless given.
    """

    limit: int
    per: timedelta
    burst: int | None = None
    name: str | None = None

    def __post_init__(self) -> None:
        _check(self.limit, self.per)
        if self.burst is not None and self.burst < 1:
            raise ValueError("A burst allows at least one call.")

    @property
    def spec(self) -> tuple[str, int, int, int]:
        """Kind, capacity, interval (µs): what the script needs."""
        return "gcra", self.burst or self.limit, -(-_us(self.per) // self.limit), 0

    @property
    def window(self) -> timedelta:
        """After so long without calls the whole burst is there again."""
        _, capacity, interval, _ = self.spec
        return timedelta(microseconds=capacity * interval)


Strategy = SlidingWindow | SlidingLog | GCRA


def _check(limit: int, per: timedelta) -> None:
    if limit < 1 or per < timedelta(milliseconds=1):
        raise ValueError("A rate limit allows at least one call in at least a millisecond.")
    if limit > _us(per):
        raise ValueError("A rate limit counts in microseconds: it cannot allow more than one in each.")


def _us(duration: timedelta) -> int:
    return duration // _MICROSECOND
