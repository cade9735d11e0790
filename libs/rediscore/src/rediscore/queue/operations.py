"""What operators do with a queue: leaf through it, find one entry, hurry one up."""

from dataclasses import dataclass
from typing import Literal

from rediscore.queue.entries import QueuedEntry, State
from rediscore.queue.view import QueueView
from rediscore.queue.wire import entry_of

_DEEPEST = 1000


@dataclass(frozen=True, slots=True)
class QueuePage:
    """A part of one state."""

    entries: list[QueuedEntry]
    next: int | None
    """How many to leave out for the next page; None = this is the last one."""


class QueueOperations(QueueView):
    """Each is one round trip."""

    async def page(
        self,
        state: State,
        *,
        most: int = 50,
        skip: int = 0,
        backwards: bool = False,
        only: Literal["failed", "fresh"] | None = None,
        payload_begins: bytes = b"",
    ) -> QueuePage:
        """Up to `most` (1 to 1000) entries in the order of `peek`, or backwards.

        Looks through 1000 entries at most: a page may be short and have a next one.

        Args:
            only: those that have failed before, or those that have not.
        """
        depth = min(_DEEPEST, most) if only is None and not payload_begins else _DEEPEST
        arguments = (state, skip, most, int(backwards), only or "", payload_begins, depth)
        after, _, *rows = await self._run("look", *arguments)
        return QueuePage([entry_of(row, state) for row in rows], after if after >= 0 else None)

    async def count(self, state: State, *, only: Literal["failed", "fresh"]) -> int:
        """How many of the first 1000 have failed before, or have not."""
        _, matched = await self._run("look", state, 0, 0, 0, only, b"", _DEEPEST)
        return int(matched)

    async def find(self, entry_id: str) -> QueuedEntry | None:
        """The entry, whatever its state; None when the queue does not hold it."""
        found = await self._run("find", entry_id)
        return None if found is None else entry_of(found[1], found[0].decode())

    async def hasten(self, entry_id: str) -> bool:
        """Make a delayed entry ready now. Again: no effect.

        Returns: False when the queue does not hold it, or it is dead.
        """
        ready: int = await self._run("hasten", entry_id)
        return ready == 1
