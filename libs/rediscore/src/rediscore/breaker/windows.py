"""What a breaker remembers of the calls of late: the last N, or those of the last seconds.

Both keep running sums beside a ring, so a call costs the same however long the window is
(resilience4j: FixedSizeSlidingWindowMetrics, SlidingTimeWindowMetrics).
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

OK: Final = 0
FAILED: Final = 1
SLOW: Final = 2
"""Outcomes are bits: a call may have failed and been slow."""


@dataclass(frozen=True, slots=True)
class CountWindow:
    """The last `calls` calls; a byte each."""

    calls: int = 100

    def __post_init__(self) -> None:
        if self.calls < 1:
            raise ValueError("A window holds at least one call.")


@dataclass(frozen=True, slots=True)
class TimeWindow:
    """The calls of the last `length`, forgotten in steps of a bucket."""

    length: timedelta = timedelta(seconds=60)
    buckets: int = 10

    def __post_init__(self) -> None:
        if self.length <= timedelta(0) or self.buckets < 1:
            raise ValueError("A window needs a length above 0 and at least one bucket.")


class CountRing:
    """See `CountWindow`."""

    __slots__ = ("_at", "_ring", "_size", "failed", "slow", "total")

    def __init__(self, window: CountWindow) -> None:
        self._size = window.calls
        self.clear()

    def clear(self) -> None:
        """As if nothing had happened."""
        self._ring = bytearray(self._size)
        self._at = self.total = self.failed = self.slow = 0

    def add(self, outcome: int) -> None:
        """One call has ended."""
        ring, at = self._ring, self._at
        gone = ring[at]
        if gone:
            self.failed -= gone & FAILED
            self.slow -= gone >> 1
        ring[at] = outcome
        if outcome:
            self.failed += outcome & FAILED
            self.slow += outcome >> 1
        at += 1
        if at == self._size:
            self._at = 0
            self.total = at
        else:
            self._at = at
            if self.total < at:
                self.total = at


class TimeRing:
    """See `TimeWindow`."""

    __slots__ = ("_bucket", "_now", "_ring", "_size", "_tick", "failed", "slow", "total")

    def __init__(self, window: TimeWindow, now: Callable[[], float]) -> None:
        self._size = window.buckets
        self._bucket = window.length.total_seconds() / window.buckets
        self._now = now
        self.clear()

    def clear(self) -> None:
        """As if nothing had happened."""
        self._ring = [[0, 0, 0] for _ in range(self._size)]
        self._tick = int(self._now() / self._bucket)
        self.total = self.failed = self.slow = 0

    def add(self, outcome: int) -> None:
        """One call has ended."""
        tick = int(self._now() / self._bucket)
        if tick != self._tick:
            self._move(tick)
        bucket = self._ring[tick % self._size]
        bucket[0] += 1
        self.total += 1
        if outcome:
            bucket[1] += outcome & FAILED
            bucket[2] += outcome >> 1
            self.failed += outcome & FAILED
            self.slow += outcome >> 1

    def _move(self, tick: int) -> None:
        for gone in range(self._tick + 1, min(tick, self._tick + self._size) + 1):
            bucket = self._ring[gone % self._size]
            self.total -= bucket[0]
            self.failed -= bucket[1]
            self.slow -= bucket[2]
            bucket[:] = (0, 0, 0)
        self._tick = tick


Ring = CountRing | TimeRing


def ring_of(window: CountWindow | TimeWindow, now: Callable[[], float]) -> Ring:
    """The memory that the window describes."""
    return CountRing(window) if isinstance(window, CountWindow) else TimeRing(window, now)
