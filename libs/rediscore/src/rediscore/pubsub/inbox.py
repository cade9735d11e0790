"""What one listener has not read yet."""

import asyncio
from collections import deque
from enum import Enum
from typing import Final


class Missed(Enum):
    """Stands among the messages where some may be missing."""

    MISSED = "missed"


MISSED: Final = Missed.MISSED

_MOST_WAITING: Final = 100


class Inbox:
    """The messages of one channel for one listener, in their order; asynchronous iterator of one reader.

    Who reads too slowly loses the oldest beyond 100: `MISSED` stands in their place. Ends when closed.

    Args:
        patient: the reader begins when the server has confirmed the subscription, so what is said before
            that is not missed.
    """

    def __init__(self, channel: bytes, *, patient: bool) -> None:
        self.channel = channel
        self.confirmed = asyncio.Event()
        """The server has confirmed the subscription at least once."""
        self._patient = patient
        self._interrupted = False
        self._waiting: deque[bytes | Missed] = deque()
        self._wake = asyncio.Event()
        self._closed = False

    def put(self, message: bytes | Missed) -> None:
        """Append; never blocks."""
        if len(self._waiting) == _MOST_WAITING:
            self._waiting.popleft()
            self._waiting[0] = MISSED
        self._waiting.append(message)
        self._wake.set()

    def interrupt(self) -> None:
        """From now on messages may be missed."""
        self._interrupted = self.confirmed.is_set() or not self._patient

    def confirm(self) -> None:
        """From now on every message comes."""
        self.confirmed.set()
        if self._interrupted:
            self._interrupted = False
            self.put(MISSED)

    def close(self) -> None:
        """End the iteration after what waits."""
        self._closed = True
        self.confirmed.set()
        self._wake.set()

    def __aiter__(self) -> "Inbox":
        return self

    async def __anext__(self) -> bytes | Missed:
        while not self._waiting:
            if self._closed:
                raise StopAsyncIteration
            self._wake.clear()
            await self._wake.wait()
        return self._waiting.popleft()
