"""Cases, rounds in shuffled order, medians of ratios.

A machine's speed drifts, so every round measures every case of a table once, in another order, and a
case is compared to the baseline of the same round. The medians over the rounds are what is told.
"""

import asyncio
import gc
import itertools
import random
import statistics
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import redis
from rediscore.client import RedisConnections
from rediscore.settings import RedisSettings

TASKS = 50
SLICE_SECONDS = 0.2
LONGEST_SECONDS = 100
_MOST_OPERATIONS = 400_000

Operation = Callable[[], Awaitable[Any]]
Batch = Callable[[int], Coroutine[Any, Any, None]]
Measured = Mapping[str, float]


class Role(StrEnum):
    """Whose code a case runs."""

    RAW = "redis-py"
    OURS = "rediscore"
    PEER = "peer"
    BLOCKING = "blocking peer"
    """For scale: it stops all other tasks, or takes a thread per caller."""


@dataclass(frozen=True)
class Case:
    """Something that is measured once a round. `goals` are upper bounds of columns."""

    name: str
    role: Role
    measure: Callable[[], Awaitable[Measured]]
    goals: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Table:
    """Cases that are compared with each other, in every round.

    With a `baseline` the columns `ratio` (wall time) and `cpu` (CPU time of this process) are those of
    a case divided by those of the baseline in the same round.
    """

    title: str
    cases: Sequence[Case]
    baseline: str | None = None
    share: float = 1.0
    """Of the rounds, for tables whose cases take long."""


@dataclass(frozen=True)
class Found:
    """What one case gave: column → the values of all rounds."""

    case: Case
    values: Mapping[str, Sequence[float]]

    def median(self, column: str) -> float | None:
        values = self.values.get(column)
        return statistics.median(values) if values else None

    def misses(self) -> list[str]:
        """The columns whose goal is not reached."""
        medians = {column: self.median(column) for column in self.case.goals}
        return [
            column
            for column, limit in self.case.goals.items()
            if (median := medians[column]) is None or median > limit
        ]


class Bed:
    """One server with ways to it: redis-py as it comes, and rediscore on both transports."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.raw: Any = redis.asyncio.Redis.from_url(url)
        self.pool = RedisConnections(RedisSettings.from_url(url))
        self.multiplexed = RedisConnections(RedisSettings.from_url(url, transport="multiplexed"))
        self._control = redis.Redis.from_url(url)

    def commands(self) -> int:
        """How many commands the server has run, also those inside scripts."""
        stats: Any = self._control.info("commandstats")
        return sum(stat["calls"] for name, stat in stats.items() if name != "cmdstat_info")

    def control(self) -> redis.Redis:
        """A client that is not measured."""
        return self._control

    async def aclose(self) -> None:
        await self.raw.aclose()
        await self.pool.aclose()
        await self.multiplexed.aclose()
        self._control.close()


def one(operation: Operation) -> Batch:
    """A single task that does one thing after the other."""

    async def batch(operations: int) -> None:
        for _ in itertools.repeat(None, operations):
            await operation()

    return batch


def many(operation: Operation) -> Batch:
    """50 tasks that do it at the same time."""

    async def batch(operations: int) -> None:
        worker = one(operation)
        async with asyncio.TaskGroup() as group:
            for _ in range(TASKS):
                group.create_task(worker(max(1, operations // TASKS)))

    return batch


class Speed:
    """Measures a batch: microseconds, CPU microseconds and Redis commands per operation."""

    def __init__(self, bed: Bed, batch: Batch, *, at_least: int) -> None:
        self._bed, self._batch, self._at_least = bed, batch, at_least
        self._operations = 0

    async def __call__(self) -> Measured:
        if not self._operations:
            self._operations = await self._fitting()
        gc.collect()
        commands, cpu, begun = self._bed.commands(), time.process_time(), time.perf_counter()
        await self._batch(self._operations)
        took, cpu = time.perf_counter() - begun, time.process_time() - cpu
        commands = self._bed.commands() - commands
        return {
            "us": took / self._operations * 1e6,
            "cpu us": cpu / self._operations * 1e6,
            "commands": commands / self._operations,
        }

    async def _fitting(self) -> int:
        """How many operations fill a slice; also the warm-up."""
        operations = self._at_least
        while True:
            begun = time.perf_counter()
            await self._batch(operations)
            took = time.perf_counter() - begun
            if took > SLICE_SECONDS / 4 or operations >= _MOST_OPERATIONS:
                break
            operations *= 4
        fitting = int(operations * SLICE_SECONDS / took)
        return max(self._at_least, min(fitting, _MOST_OPERATIONS) // self._at_least * self._at_least)


def cases(bed: Bed, *, tasks: int) -> Callable[..., Case]:
    """A short way to write cases of one table: `add(name, role, operation, ratio=1.15)`."""

    def add(
        name: str, role: Role, operation: Operation, *, loop: Batch | None = None, **goals: float
    ) -> Case:
        batch = loop or (one(operation) if tasks == 1 else many(operation))
        return Case(name, role, Speed(bed, batch, at_least=tasks), goals)

    return add


async def run(table: Table, rounds: int, shuffle: random.Random, step: Callable[[], None]) -> list[Found]:
    """Measure every case once a round; the first round warms up and is thrown away."""
    collected: dict[str, dict[str, list[float]]] = {case.name: {} for case in table.cases}
    for number in range(rounds + 1):
        measured: dict[str, dict[str, float]] = {}
        for case in shuffle.sample(table.cases, len(table.cases)):
            try:
                async with asyncio.timeout(LONGEST_SECONDS):
                    measured[case.name] = dict(await case.measure())
            except TimeoutError as error:
                raise RuntimeError(f"{table.title}: {case.name} hangs.") from error
            step()
        if number == 0:
            continue
        base = measured.get(table.baseline or "")
        for name, values in measured.items():
            if base is not None and values:
                values["ratio"] = values["us"] / base["us"]
                values["cpu"] = values["cpu us"] / max(base["cpu us"], 1e-9)
            for column, value in values.items():
                collected[name].setdefault(column, []).append(value)
    return [Found(case, collected[case.name]) for case in table.cases]
