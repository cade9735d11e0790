"""One library behind a line protocol: a JSON request per line in, a JSON answer per line out.

Runs as a process in the environment of that library, so it needs the standard library only. `player.mjs` is
the same for Node. Requests: {"do": "enqueue" | "enqueue_many" | "drain" | "pick_up" | "delayed", "jobs": n},
{"do": "hang"} and {"do": "resume"}; times in the answers are seconds. The server is at REDIS_URL.
"""

import asyncio
import gc
import json
import logging
import os
import random
import sys
import time
import warnings
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from typing import Any

TASKS = 50
BATCH = 500
HANG = -1

Answer = dict[str, Any]


class Contender(ABC):
    """How one library takes jobs in and runs them, 50 at once. A job is a number; running it calls `job`."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.ran: Callable[[int], None] = lambda _: None

    @abstractmethod
    async def open(self) -> None:
        """Connect; called once."""

    @abstractmethod
    async def put(self, number: int, delay: float | None = None) -> None:
        """One job, to be run now or after so many seconds."""

    async def put_many(self, numbers: range) -> None:
        """Many jobs by whatever the library has for that."""
        raise NotImplementedError

    @abstractmethod
    def working(self) -> AbstractAsyncContextManager[object]:
        """While it is entered a worker runs."""

    async def settled(self) -> bool:
        """Whether what the last jobs left behind (acknowledgements, results) is in Redis."""
        return True

    async def job(self, number: int) -> int:
        """What the library's handler does."""
        if number == HANG:
            self.ran(number)
            await asyncio.sleep(3600)
        self.ran(number)
        return number


class Countdown:
    """Set when so many jobs have run."""

    def __init__(self, jobs: int) -> None:
        self.left = jobs
        self.done = asyncio.Event()

    def __call__(self, _: int) -> None:
        self.left -= 1
        if self.left <= 0:
            self.done.set()


class Stopwatch:
    """Wall and CPU seconds of this process."""

    def __enter__(self) -> Answer:
        gc.collect()
        self._answer: Answer = {}
        self._begun, self._cpu = time.perf_counter(), time.process_time()
        return self._answer

    def __exit__(self, *_: object) -> None:
        self._answer["seconds"] = time.perf_counter() - self._begun
        self._answer["cpu"] = time.process_time() - self._cpu


async def enqueue(contender: Contender, jobs: int) -> Answer:
    numbers = iter(range(jobs))

    async def putting(numbers: Iterator[int]) -> None:
        for number in numbers:
            await contender.put(number)

    with Stopwatch() as answer:
        await asyncio.gather(*(putting(numbers) for _ in range(TASKS)))
    return answer


async def enqueue_many(contender: Contender, jobs: int) -> Answer:
    with Stopwatch() as answer:
        for first in range(0, jobs, BATCH):
            await contender.put_many(range(first, min(first + BATCH, jobs)))
    return answer


async def drain(contender: Contender, jobs: int) -> Answer:
    """From the start of the worker until the last job has run and is settled."""
    contender.ran = countdown = Countdown(jobs)
    watch = Stopwatch()
    answer = watch.__enter__()
    async with contender.working():
        await countdown.done.wait()
        while True:
            if await contender.settled():
                break
            await asyncio.sleep(0.0005)
        watch.__exit__()
    return answer


async def pick_up(contender: Contender, jobs: int) -> Answer:
    """A worker with nothing to do, and now and then one job."""
    took = []
    async with contender.working():
        await asyncio.sleep(0.5)
        for number in range(jobs):
            await asyncio.sleep(0.05)
            contender.ran = countdown = Countdown(1)
            begun = time.perf_counter()
            await contender.put(number)
            await countdown.done.wait()
            took.append(time.perf_counter() - begun)
    return {"seconds": sorted(took)[len(took) // 2]}


async def delayed(contender: Contender, jobs: int) -> Answer:
    """Due times anywhere within two seconds, a waiting worker."""
    due: dict[int, float] = {}
    late: list[float] = []
    done = asyncio.Event()
    chance = random.Random(7)

    def ran(number: int) -> None:
        late.append(time.perf_counter() - due[number])
        if len(late) == jobs:
            done.set()

    async def put(number: int) -> None:
        delay = round(chance.uniform(0.5, 2.5), 3)
        due[number] = time.perf_counter() + delay
        await contender.put(number, delay)

    contender.ran = ran
    async with contender.working():
        await asyncio.sleep(0.2)
        for number in range(jobs):
            await put(number)
        await done.wait()
    late.sort()
    return {"p50": late[len(late) // 2], "p99": late[int(len(late) * 0.99)], "early": max(0.0, -late[0])}


async def run_one(contender: Contender, jobs: int) -> Answer:
    """Answers when the job runs; the worker goes on until this process ends."""
    contender.ran = countdown = Countdown(1)
    await contender.working().__aenter__()
    if jobs:
        await contender.put(HANG)
    await countdown.done.wait()
    return {}


VERBS: dict[str, Callable[[Contender, int], Awaitable[Answer]]] = {
    "enqueue": enqueue,
    "enqueue_many": enqueue_many,
    "drain": drain,
    "pick_up": pick_up,
    "delayed": delayed,
    "hang": lambda contender, _: run_one(contender, 1),
    "resume": lambda contender, _: run_one(contender, 0),
}


async def _serve(contender: Contender) -> None:
    await contender.open()
    while line := await asyncio.to_thread(sys.stdin.readline):
        request = json.loads(line)
        try:
            answer = await VERBS[request["do"]](contender, request.get("jobs", 0))
        except NotImplementedError:
            answer = {"missing": True}
        print(json.dumps(answer), flush=True)


def serve(make: Callable[[str], Contender]) -> None:
    """The main function of a contender."""
    import uvloop

    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(make(os.environ["REDIS_URL"])))


async def cancel(task: "asyncio.Task[Any]") -> None:
    """End a worker; one cancellation may get lost in a library on Python 3.11."""
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=0.5)
    if not task.cancelled():
        task.exception()
