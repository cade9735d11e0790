"""What callers of one process share: a read, or a computation."""

import asyncio
from itertools import count
from typing import Final, Generic, TypeVar

T = TypeVar("T")

moment: Final = count(1).__next__
"""The order of things within the process: who asked before a read was sent may take its reply."""


class SharedRead(Generic[T]):
    """A read that is under way, and those who wait for it."""

    __slots__ = ("_waiter", "began")

    def __init__(self) -> None:
        self.began = moment()
        self._waiter: asyncio.Future[tuple[T] | None] | None = None

    async def join(self) -> tuple[T] | None:
        """What it gave, in a tuple; None when who sent it gave up."""
        if self._waiter is None:
            self._waiter = asyncio.get_running_loop().create_future()
        return await asyncio.shield(self._waiter)

    def end(self, seen: tuple[T] | None) -> None:
        """Tell the others."""
        if self._waiter is not None:
            self._waiter.set_result(seen)


class Flight(Generic[T]):
    """A computation that is under way. The cache owns its task; callers only wait for it."""

    __slots__ = ("began", "kept", "task", "waiting")

    def __init__(self) -> None:
        self.began = moment()
        """Who asked before may take what it gives: it was not outdated then. That is when the value was
        asked for, at Redis or at the source; later, when it was stored, for nothing outdated is."""
        self.waiting = 0
        self.kept = False
        """It goes on when nobody waits."""
        self.task: asyncio.Task[T]
