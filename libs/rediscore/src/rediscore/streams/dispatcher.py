"""Lanes: what belongs together in sequence, everything else in parallel."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

from rediscore.streams.work import Work

Runner = Callable[[Sequence[Work]], Awaitable[None]]
"""Tries works: sets `outcome` on those that ended, and `pause` on those that must wait for their next
attempt. Of one lane it is given a row from the head on."""

_TURNS_WITHOUT_PAUSE = 50


class _Lane:
    __slots__ = ("name", "parked", "works")

    def __init__(self, name: str) -> None:
        self.name = name
        self.works: deque[Work] = deque()
        self.parked: asyncio.TimerHandle | None = None


class Dispatcher:
    """Runs works: those of one lane in the order they came, different lanes in parallel.

    A work stays at the head of its lane until it has ended. While it waits for its next attempt the
    lane is parked: it takes no worker from others.

    Args:
        run: what to do with works.
        batch: most works handed to `run` at once, of as many lanes as are ready, in the order they came.
    """

    def __init__(self, run: Runner, *, batch: int = 1) -> None:
        self._run = run
        self._batch = batch
        self._lanes: dict[str, _Lane] = {}
        self._ready: asyncio.Queue[_Lane] = asyncio.Queue()
        self._size = 0
        self._count = 0
        self._parked = 0
        self._running = 0
        self._halted = False
        self._closed: Exception | None = None
        self._waiting: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []

    @property
    def size(self) -> int:
        """Works in memory: running, waiting their turn or waiting for their next attempt."""
        return self._size

    @property
    def parked(self) -> int:
        """Works of lanes whose head waits for its next attempt."""
        return self._parked

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
        self._count += 1
        work.number = self._count
        lane = self._lanes.get(work.lane)
        if lane is not None:
            lane.works.append(work)
            self._parked += lane.parked is not None
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
            await self._turn(*self._gather(lane))
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
        for lane in self._lanes.values():
            if lane.parked is not None:
                lane.parked.cancel()
            for work in lane.works:
                if work.done is not None and not work.done.done():
                    work.done.set_exception(error)
        self._lanes.clear()
        self._size = self._parked = 0

    def _gather(self, lane: _Lane) -> tuple[list[_Lane], list[Work]]:
        """What one worker tries together: a work that is alone, or a batch of all lanes that are ready."""
        first = lane.works[0]
        if self._batch == 1 or first.alone:
            return [lane], [first]
        lanes, works = [lane], self._head(lane, self._batch)
        for _ in range(self._ready.qsize()):
            if len(works) >= self._batch:
                break
            other = self._ready.get_nowait()
            if other.works[0].alone:
                self._ready.put_nowait(other)
                continue
            lanes.append(other)
            works += self._head(other, self._batch - len(works))
        works.sort(key=lambda work: work.number)
        return lanes, works

    @staticmethod
    def _head(lane: _Lane, most: int) -> list[Work]:
        works: list[Work] = []
        for work in lane.works:
            if work.alone or len(works) == most:
                break
            if not work.ended:
                works.append(work)
        return works

    async def _turn(self, lanes: Sequence[_Lane], works: Sequence[Work]) -> None:
        for work in works:
            work.pause = 0.0
        self._running += 1
        try:
            await self._run(works)
        finally:
            self._running -= 1
        for lane in lanes:
            self._put_back(lane)

    def _put_back(self, lane: _Lane) -> None:
        works = lane.works
        while works and works[0].ended:
            works.popleft()
            self._size -= 1
        if not works:
            del self._lanes[lane.name]
        elif works[0].pause:
            lane.parked = asyncio.get_running_loop().call_later(works[0].pause, self._unpark, lane)
            self._parked += len(works)
        else:
            self._ready.put_nowait(lane)

    def _unpark(self, lane: _Lane) -> None:
        lane.parked = None
        self._parked -= len(lane.works)
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
