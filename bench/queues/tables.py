"""What is measured, with the goals of ours: upper bounds, in microseconds per job or milliseconds."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import redis

from bench.queues.players import (
    ARQ,
    BULL,
    FASTSTREAM,
    FASTSTREAM_BATCH,
    PEERS,
    QUEUE,
    QUEUE_POOL,
    RAW_LIST,
    RESULTS,
    SAQ,
    STREAM,
    STREAM_BATCH,
    STREAM_RAW,
    STREAQ,
    TASKIQ_STREAM,
    TASKS,
    TASKS_POOL,
    Library,
    Players,
)
from bench.rediscore.harness import Case, Measured, Role, Table

JOBS, FEWER, EVENTS = 5000, 1000, 5000
PICK_UPS, DELAYED = 20, 200
PATIENCE = 20
"""Seconds that one measurement may take."""


@dataclass(frozen=True)
class Setting:
    """One server that is emptied before each measurement, and the processes of the contenders."""

    players: Players
    control: redis.Redis

    def commands(self) -> int:
        """How many commands the server has run, also those inside scripts."""
        stats = self.control.info("commandstats")
        return sum(stat["calls"] for name, stat in stats.items() if name != "cmdstat_info")

    async def per_job(self, library: Library, verb: str, jobs: int) -> Measured:
        """Microseconds, CPU microseconds and Redis commands of one job."""
        before = self.commands()
        answer = await self.players.ask(library, verb, jobs)
        return {
            "us": answer["seconds"] / jobs * 1e6,
            "cpu us": answer["cpu"] / jobs * 1e6,
            "commands": (self.commands() - before) / jobs,
            "jobs/s": jobs / answer["seconds"],
        }

    def case(self, library: Library, measure: Callable[[], Awaitable[Measured]], **goals: float) -> Case:
        """On an empty server. A peer that does not answer in time is started anew and has no value."""

        async def measured() -> Measured:
            self.control.flushall()
            try:
                async with asyncio.timeout(PATIENCE):
                    return await measure()
            except TimeoutError:
                if library.role is not Role.PEER:
                    raise
                await self.players.restart(library)
                return {}

        columns = {column.replace("_", " "): limit for column, limit in goals.items()}
        return Case(library.name, library.role, measured, columns)

    def enqueue(self, library: Library, verb: str, **goals: float) -> Case:
        async def measure() -> Measured:
            await self.players.ask(library, "enqueue", 1)  # what a queue does once
            return await self.per_job(library, verb, _jobs(library))

        return self.case(library, measure, **goals)

    def drain(self, library: Library, **goals: float) -> Case:
        async def measure() -> Measured:
            await self.players.ask(library, "enqueue", _jobs(library))
            return await self.per_job(library, "drain", _jobs(library))

        return self.case(library, measure, **goals)

    def read(self, library: Library, **goals: float) -> Case:
        async def measure() -> Measured:
            await self.players.ask(library, "enqueue_many", EVENTS)
            return await self.per_job(library, "drain", EVENTS)

        return self.case(library, measure, **goals)

    def pick_up(self, library: Library, **goals: float) -> Case:
        async def measure() -> Measured:
            answer = await self.players.ask(library, "pick_up", PICK_UPS)
            return {"ms": answer["seconds"] * 1e3}

        return self.case(library, measure, **goals)

    def delayed(self, library: Library, **goals: float) -> Case:
        async def measure() -> Measured:
            answer = await self.players.ask(library, "delayed", DELAYED)
            return {f"{column} ms": answer[column] * 1e3 for column in ("p50", "p99", "early")}

        return self.case(library, measure, **goals)


def tables(setting: Setting) -> dict[str, Table]:
    """By the names that the command line takes. Peers that are not installed are left out."""
    peers = [peer for peer in PEERS if peer.installed]
    return {
        "drain": Table(
            "Drain 5,000 jobs, 50 at once",
            [
                setting.drain(RAW_LIST),
                setting.drain(TASKS, us=40, ratio=0.5, commands=8),
                setting.drain(TASKS_POOL),
                setting.drain(RESULTS, us=66.7, commands=8),
                setting.drain(QUEUE, us=40, ratio=0.5, commands=8),
                *(setting.drain(peer) for peer in peers),
            ],
            RAW_LIST.name,
        ),
        "enqueue": Table(
            "Enqueue, 50 tasks",
            [
                setting.enqueue(RAW_LIST, "enqueue"),
                setting.enqueue(TASKS, "enqueue", us=40, commands=5),
                setting.enqueue(TASKS_POOL, "enqueue"),
                setting.enqueue(QUEUE, "enqueue", us=40, commands=5),
                setting.enqueue(QUEUE_POOL, "enqueue"),
                *(setting.enqueue(peer, "enqueue") for peer in peers),
            ],
            RAW_LIST.name,
        ),
        "batches": Table(
            "Enqueue in batches of 500",
            [
                setting.enqueue(RAW_LIST, "enqueue_many"),
                setting.enqueue(TASKS, "enqueue_many", us=16.7, commands=5),
                setting.enqueue(QUEUE, "enqueue_many", us=16.7, commands=5),
                *(setting.enqueue(peer, "enqueue_many") for peer in (BULL, STREAQ) if peer.installed),
            ],
            RAW_LIST.name,
        ),
        "pickup": Table(
            "Idle pick-up, median of 20",
            [
                setting.pick_up(RAW_LIST),
                setting.pick_up(TASKS, ms=1.5),
                setting.pick_up(QUEUE, ms=1.5),
                # taskiq's broker on a stream sometimes never reads from a stream that was empty.
                *(setting.pick_up(peer) for peer in peers if peer is not TASKIQ_STREAM),
            ],
            share=0.6,
        ),
        "delayed": Table(
            "Delayed jobs, lateness of 200",
            [
                setting.delayed(TASKS, p99_ms=20, early_ms=0),
                setting.delayed(QUEUE, p99_ms=20, early_ms=0),
                *(setting.delayed(peer) for peer in (BULL, SAQ, STREAQ, ARQ) if peer.installed),
            ],
            share=0.4,
        ),
        "streams": Table(
            "Read 5,000 events of a stream",
            [
                setting.read(FASTSTREAM),
                setting.read(STREAM, ratio=1 / 5),
                setting.read(STREAM_RAW),
                setting.read(STREAM_BATCH, ratio=1 / 10),
                setting.read(FASTSTREAM_BATCH),
            ],
            FASTSTREAM.name,
        ),
    }


def _jobs(library: Library) -> int:
    return FEWER if library.slow else JOBS
