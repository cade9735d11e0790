"""Lanes: what belongs together in sequence, everything else in parallel."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

from rediscore.streams.work import Work

Runner = Callable[[Sequence[Work]], Awaitable[float | None]]
"""Tries works from the head of one lane. Sets `outcome` on those that ended; returns the seconds to
wait before those that did not are tried again."""

_TURNS_WITHOUT_PAUSE = 50


class _Lane:
    __slots__ = ("name", "works")

    def __init__(self, name: str) -> None:
        self.name = name
        self.works: deque[Work] = deque()


class Dispatcher:
    """Runs works: those of one lane in the order they came, different lanes in parallel.

    A work stays at the head of its lane until it has ended. While it waits for its next attempt the
    lane is parked: it takes no worker from others.

    Args:
        run: what to do with works.
        batch: most works of one lane handed to `run` at once.
    """

    def __init__(self, run: Runner, *, batch: int = 1) -> None:
        self._run = run
        self._batch = batch
        self._lanes: dict[str, _Lane] = {}
        self._ready: asyncio.Queue[_Lane] = asyncio.Queue()
        self._parked: dict[str, asyncio.TimerHandle] = {}
        self._size = 0
        self._running = 0
        self._halted = False
        self._closed: Exception | None = None
        self._waiting: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []

    @property
    def size(self) -> int:
        """Works in memory: running, waiting their turn or waiting for their next attempt."""
        return self._size

    @property
    def running(self) -> int:
        """Workers that are busy now."""
        return self._running

    @property
    def stalled(self) -> bool:
        """Whether nothing runs or could run now: all that is in memory waits for its next attempt."""
        return self._running == 0 and self._ready.empty()

    def put(self, work: Work) -> None:
        """Take a work in; never waits: whoever puts keeps to a bound by `until`.

        Raises: the error of `close` when closed.
        """
        if self._closed is not None:
            raise self._closed
        self._size += 1
        lane = self._lanes.get(work.lane)
        if lane is not None:
            lane.works.append(work)
            return
        lane = self._lanes[work.lane] = _Lane(work.lane)
        lane.works.append(work)
        self._ready.put_nowait(lane)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for a condition on this dispatcher; it is looked at whenever a work was tried."""
        if condition():
            return
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.append((condition, waiter))
        await waiter

    async def worker(self) -> None:
        """One worker; its task belongs to the caller. Ends by cancellation or by an error of `run`."""
        turns = 0
        while True:
            lane = await self._ready.get()
            if self._halted:
                continue
            await self._turn(lane)
            self._wake()
            turns += 1
            if turns % _TURNS_WITHOUT_PAUSE == 0:
                # Handlers that never wait would keep the loop from reading, renewing and answering.
                await asyncio.sleep(0)

    def halt(self) -> None:
        """Start nothing more; what runs goes on."""
        self._halted = True

    def close(self, error: Exception) -> None:
        """Forget all works; those who wait for one get `error`. The workers must have ended."""
        self._closed = error
        for timer in self._parked.values():
            timer.cancel()
        for lane in self._lanes.values():
            for work in lane.works:
                if work.done is not None and not work.done.done():
                    work.done.set_exception(error)
        self._lanes.clear()
        self._parked.clear()
        self._size = 0

    async def _turn(self, lane: _Lane) -> None:
        self._running += 1
        try:
            delay = await self._run(self._head(lane))
        finally:
            self._running -= 1
        works = lane.works
        while works and works[0].outcome is not None:
            works.popleft()
            self._size -= 1
        if not works:
            del self._lanes[lane.name]
        elif delay:
            loop = asyncio.get_running_loop()
            self._parked[lane.name] = loop.call_later(delay, self._unpark, lane)
        else:
            self._ready.put_nowait(lane)

    def _head(self, lane: _Lane) -> Sequence[Work]:
        first = lane.works[0]
        if self._batch == 1 or first.alone:
            return (first,)
        batch: list[Work] = []
        for work in lane.works:
            if work.alone or len(batch) == self._batch:
                break
            batch.append(work)
        return batch

    def _unpark(self, lane: _Lane) -> None:
        del self._parked[lane.name]
        self._ready.put_nowait(lane)

    def _wake(self) -> None:
        if not self._waiting:
            return
        still = []
        for condition, waiter in self._waiting:
            if waiter.done():
                continue
            if condition():
                waiter.set_result(None)
            else:
                still.append((condition, waiter))
        self._waiting = still
