"""Clocks that move only when told: one for code that takes a `Clock`, one in place of a server's TIME."""

import asyncio
import heapq
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count


@dataclass
class ServerTime:
    """What scripts take for the server's time (`now_ms`); a test moves it as it likes, backwards too."""

    ms: int = 1_800_000_000_000

    def __call__(self) -> int:
        return self.ms

    def advance(self, **duration: float) -> None:
        """Arguments as of `timedelta`."""
        self.ms += round(timedelta(**duration).total_seconds() * 1000)


class ManualClock:
    """A `Clock` for tests: time stands still until `advance`, which wakes sleepers in order."""

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._start = start
        self._elapsed = 0.0
        self._order = count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._elapsed)

    def monotonic(self) -> float:
        return self._elapsed

    @property
    def sleepers(self) -> int:
        """How many tasks sleep now; wait for it before `advance`."""
        return sum(not waiter.done() for _, _, waiter in self._sleepers)

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._elapsed + seconds, next(self._order), waiter))
        await waiter

    async def advance(self, seconds: float) -> None:
        """Move on, and let everything run that becomes due, in the order in which it does."""
        until = self._elapsed + seconds
        while self._sleepers and self._sleepers[0][0] <= until:
            due, _, waiter = heapq.heappop(self._sleepers)
            self._elapsed = due
            if not waiter.done():
                waiter.set_result(None)
            await asyncio.sleep(0)
        self._elapsed = until
        await asyncio.sleep(0)
