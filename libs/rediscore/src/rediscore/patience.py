"""A bound on many short waits that costs each of them little."""

import asyncio
from collections import deque
from types import TracebackType


class Patience:
    """`with patience.limit():` is `async with asyncio.timeout(seconds)` for one fixed number of seconds.

    All waits share one timer, because they end in the order in which they began. A wait that takes too long
    is cancelled and raises the builtin TimeoutError.
    """

    __slots__ = ("_loop", "_timer", "_waits", "seconds")

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._waits: deque[_Wait] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None

    def limit(self) -> "_Wait":
        """One wait of the current task; a context manager for one use."""
        return _Wait(self)

    def _begin(self, wait: "_Wait") -> None:
        loop = asyncio.get_running_loop()
        if loop is not self._loop:  # the one before is gone, with its timer and its waits
            self._loop, self._timer = loop, None
            self._waits.clear()
        wait.deadline = loop.time() + self.seconds
        self._waits.append(wait)
        if self._timer is None:
            self._timer = loop.call_at(wait.deadline, self._ring, loop)

    def _end(self) -> None:
        waits = self._waits
        while waits and waits[0].task is None:
            waits.popleft()

    def _ring(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        waits, now = self._waits, loop.time()
        while waits and (waits[0].task is None or waits[0].deadline <= now):
            waits.popleft().expire()
        if waits:
            self._timer = loop.call_at(waits[0].deadline, self._ring, loop)


class _Wait:
    __slots__ = ("_cancelling", "_expired", "_patience", "deadline", "task")

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._expired = False
        self._cancelling = 0
        self.deadline = 0.0
        self.task: asyncio.Task[object] | None = None

    def expire(self) -> None:
        if self.task is not None:
            self._expired = True
            self.task.cancel()

    def __enter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  a coroutine runs in a task
        self.task = task
        self._cancelling = task.cancelling()
        self._patience._begin(self)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        task, self.task = self.task, None
        self._patience._end()
        if self._expired and task is not None:
            # As asyncio.timeout does it: our cancellation becomes a TimeoutError, one from outside stays.
            ours = task.uncancel() <= self._cancelling
            if ours and kind is not None and issubclass(kind, asyncio.CancelledError):
                raise TimeoutError from error
