"""How far a consumer has come in the history of another service."""

import asyncio
import time
from collections.abc import Callable, Mapping

__all__ = ["PositionTracker"]


class PositionTracker:
    """Knows which positions are done, in whatever order they were done.

    ``contiguous`` is the highest position up to which every one is done. What is done beyond it waits for the
    gap to close; ``skipped`` are those of them that left no row in the inbox because nobody handles their
    type, by event id.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.contiguous = 0
        self.highest = 0
        self._beyond: set[int] = set()
        self._skipped: dict[int, str] = {}
        self._monotonic = monotonic
        self._moved_at = monotonic()
        self._moved = asyncio.Event()

    @property
    def skipped(self) -> Mapping[int, str]:
        return self._skipped

    @property
    def gap_seconds(self) -> float:
        """For how long some position below the highest done one has been missing; 0 without a gap."""
        return self._monotonic() - self._moved_at if self._beyond else 0.0

    def reset(self, contiguous: int) -> None:
        """Start from what the database says, which is never behind what this process did."""
        if contiguous > self.contiguous:
            self._beyond = {place for place in self._beyond if place > contiguous}
            self.highest = max(self.highest, contiguous)
            self._move_to(contiguous)

    def is_done(self, position: int) -> bool:
        return position <= self.contiguous or position in self._beyond

    def done(self, position: int | None, *, skipped: str | None = None) -> None:
        """Note that a position needs no more work; None is an event that its source has not placed."""
        if position is None or self.is_done(position):
            return
        if not self._beyond:
            self._moved_at = self._monotonic()
        self._beyond.add(position)
        if skipped is not None:
            self._skipped[position] = skipped
        self.highest = max(self.highest, position)
        self._move_to(self.contiguous)

    def _move_to(self, position: int) -> None:
        while position + 1 in self._beyond:
            position += 1
            self._beyond.discard(position)
        if position == self.contiguous:
            return
        self.contiguous = position
        for place in [place for place in self._skipped if place <= position]:
            del self._skipped[place]
        self._moved_at = self._monotonic()
        self._moved.set()
        self._moved = asyncio.Event()

    async def reach(self, position: int, timeout: float) -> bool:
        """Wait until everything up to ``position`` is done; False after ``timeout`` seconds."""
        try:
            async with asyncio.timeout(timeout):
                while self.contiguous < position:
                    await self._moved.wait()
        except TimeoutError:
            return False
        return True
