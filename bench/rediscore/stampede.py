"""A cold key that everybody wants: 4 processes with 50 tasks each, a factory that takes 50 ms."""

import asyncio
import json
import os
import signal
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any
from uuid import uuid4

from bench.rediscore.harness import Bed, Case, Measured, Role, Table
from bench.rediscore.stampede_process import BLOCKING, FACTORY_SECONDS, OURS, PEERS

PROCESSES = 4
TASKS = 50
PATIENCE_SECONDS = 5.0
"""Nobody waits longer for a dead loader here; the figure is then a lower bound."""
_HEAD_START = 0.02


async def tables(bed: Bed, stack: AsyncExitStack) -> Sequence[Table]:
    crowd = Crowd(bed)
    stack.push_async_callback(crowd.aclose)
    await crowd.start()
    goals = {"calls": 1, "slowest ms": 70, "commands": 60}
    cold = [Case(name, Role.RAW, Cold(crowd, name)) for name in ("GET, SET",)]
    cold += [Case(name, Role.OURS, Cold(crowd, name), goals) for name in OURS]
    cold += [Case(name, Role.PEER, Cold(crowd, name)) for name in PEERS]
    cold += [Case(name, Role.BLOCKING, Cold(crowd, name)) for name in BLOCKING]
    killed = [Case(name, Role.OURS, Killed(bed, name), {"takeover s": 2.0}) for name in OURS]
    killed += [Case(name, Role.PEER, Killed(bed, name)) for name in PEERS if "one loader" in name]
    return [
        Table(
            f"cold key, {PROCESSES} x {TASKS} tasks, factory of {FACTORY_SECONDS * 1000:g} ms",
            cold,
            share=0.5,
        ),
        Table(
            f"the loader is killed: until all others have the value ({PATIENCE_SECONDS:g} s: they gave up)",
            killed,
            share=0.1,
        ),
    ]


class Crowd:
    """The processes; each answers a line of JSON with a line of JSON."""

    def __init__(self, bed: Bed) -> None:
        self.bed = bed
        self._processes: list[Process] = []

    async def start(self) -> None:
        self._processes = [await self.spawn() for _ in range(PROCESSES)]

    async def spawn(self) -> Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-W",
            "ignore",
            "-m",
            "bench.rediscore.stampede_process",
            self.bed.url,
            stdin=PIPE,
            stdout=PIPE,
        )

    async def ask(self, **order: Any) -> list[dict[str, Any]]:
        """What each process answers, all begun at the same moment."""
        order = {"tasks": TASKS, "patience": 30.0, **order, "at": time.time() + _HEAD_START}
        return await asyncio.gather(*(tell(process, order) for process in self._processes))

    async def warm_up(self, library: str) -> None:
        """Open its connections and load its scripts."""
        await self.ask(library=library, key=uuid4().hex, factory=0.0)

    async def aclose(self) -> None:
        for process in self._processes:
            process.kill()
            await process.wait()


async def tell(process: Process, order: dict[str, Any]) -> dict[str, Any]:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(order).encode() + b"\n")
    answer = await process.stdout.readline()
    assert answer, "a process of the crowd has died"
    told: dict[str, Any] = json.loads(answer)
    return told


class Cold:
    """Factory calls of all processes, the longest that a task waited, Redis commands of all."""

    def __init__(self, crowd: Crowd, library: str) -> None:
        self._crowd, self._library = crowd, library

    async def __call__(self) -> Measured:
        crowd = self._crowd
        await crowd.warm_up(self._library)
        commands = crowd.bed.commands()
        answers = await crowd.ask(library=self._library, key=uuid4().hex, factory=FACTORY_SECONDS)
        return {
            "calls": sum(answer["calls"] for answer in answers),
            "slowest ms": max(answer["slowest"] for answer in answers) * 1000,
            "commands": crowd.bed.commands() - commands,
            "errors": sum(answer["errors"] for answer in answers),
        }


class Killed:
    """A process that loads is killed; how long the other four wait from then on."""

    def __init__(self, bed: Bed, library: str) -> None:
        self._bed, self._library = bed, library

    async def __call__(self) -> Measured:
        # A new one each time: what waits for a dead loader may wait on when we have stopped looking.
        crowd, key = Crowd(self._bed), uuid4().hex
        loader = await crowd.spawn()
        try:
            await crowd.start()
            await crowd.warm_up(self._library)
            alone = {"library": self._library, "tasks": 1, "patience": 600.0, "at": 0}
            await tell(loader, {**alone, "key": uuid4().hex, "factory": 0.0})
            assert loader.stdin is not None
            loader.stdin.write(json.dumps({**alone, "key": key, "factory": 600.0}).encode() + b"\n")
            await asyncio.sleep(0.3)
            waiting = asyncio.ensure_future(
                crowd.ask(library=self._library, key=key, factory=FACTORY_SECONDS, patience=PATIENCE_SECONDS)
            )
            await asyncio.sleep(0.5)
            killed = time.perf_counter()
            os.kill(loader.pid, signal.SIGKILL)
            answers = await waiting
            took = time.perf_counter() - killed
        finally:
            if loader.returncode is None:
                loader.kill()
            await loader.wait()
            await crowd.aclose()
        gave_up = sum(answer["errors"] for answer in answers)
        return {
            "takeover s": PATIENCE_SECONDS if gave_up else took,
            "calls": sum(answer["calls"] for answer in answers),
            "gave up": gave_up,
        }
