"""One run from its beginning to the verdict."""

import asyncio
import os
import random
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

from pizzeria_chassis.database import Database
from pizzeria_chassis.testing.events import prepare

from tests.chaos.harness_faults import RESTARTS, Faults
from tests.chaos.harness_fleet import Fleet
from tests.chaos.harness_load import Load
from tests.chaos.harness_redis import AofServer, Fsync
from tests.chaos.harness_run import APPLIER, BATCHER, UPSTREAM, Run
from tests.chaos.harness_witness import QueueWitness, TasksWitness, Witness
from tests.chaos.harness_witness_relay import RelayWitness
from tests.chaos.harness_witness_streams import StreamWitness
from tests.chaos.program_relay import facts

SEED: Final = int(os.environ["SOAK_SEED"])
_TOLD_AT_MOST: Final = 12


class Scene:
    """Redis, a fleet, a load and its witnesses. Made by `on_stage`."""

    def __init__(self, run: Run, redis: AofServer, rate: float) -> None:
        self.run = run
        self.redis = redis
        self.chance = random.Random(SEED)
        self.fleet = Fleet(run)
        self.faults = Faults(self.fleet, redis, self.chance)
        self._connections = run.connect()
        self._load = Load(run, self._connections, self.chance, rate)
        self.queue = QueueWitness(run, self._connections, self._load)
        self.relays = [RelayWitness(run, self._connections, service) for service in (APPLIER, BATCHER)]
        self.witnesses: Sequence[Witness] = [
            self.queue,
            TasksWitness(run, self._connections, self._load),
            *(StreamWitness(run, self._connections, self._load, name) for name in run.delivers),
            *self.relays,
        ]

    async def play(self, seconds: float, every: float) -> None:
        """Load, and a fault every so often, together; then the faults end, and so do the writers."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._load.produce(seconds))
            group.create_task(self.faults.run(seconds, every))

    async def settle(self, within: float) -> None:
        """Wait until all is at rest. Raises: AssertionError that says what is not."""
        end = time.monotonic() + within
        while restless := [told for witness in self.witnesses for told in await witness.restless()]:
            if self.run.loses:
                await self._send_lost_again()
            assert time.monotonic() < end, self.report(f"not at rest after {within:.0f} s", restless)
            await asyncio.sleep(0.2)

    async def _send_lost_again(self) -> None:
        """Redis may have lost a second of what it took: the owner has it in SQL."""
        for witness in self.witnesses:
            for item in await witness.lost():
                await self._load.send_again(witness.kind, item)

    async def leave(self) -> list[str]:
        """All processes end in good order, and no lease is left."""
        wrong = await self.fleet.retire()
        leases = [key.decode() async for key in self._connections.scan_keys("*lease*")]
        return wrong + [
            f"the lease {key} was not given back" for key in leases if not key.endswith(":leased")
        ]

    async def broken(self) -> list[str]:
        return [told for witness in self.witnesses for told in await witness.broken()]

    def report(self, title: str, wrong: Sequence[str]) -> str:
        """What is wrong, the journeys of the items it is about, and what was done to the processes."""
        lines = [f"{title} (SOAK_SEED={SEED}): {len(wrong)}", *wrong[:_TOLD_AT_MOST]]
        for sentence in wrong[:_TOLD_AT_MOST]:
            item = sentence.partition(":")[0]
            steps = [
                (at, f"  {item}: {w.kind}: {step}") for w in self.witnesses for at, step in w.journey(item)
            ]
            lines += [f"{at:.3f} {told}" for at, told in sorted(steps)]
        lines += ["faults:", *(f"{at:.3f}   {told}" for at, told in self.faults.told)]
        return "\n".join(lines)

    async def aclose(self) -> None:
        self.fleet.end()
        await self._load.aclose()
        for relay in self.relays:
            await relay.aclose()
        await self._connections.aclose()


@asynccontextmanager
async def on_stage(
    folder: Path, fsync: Fsync, databases: Mapping[str, str], *, rate: float, killers: bool
) -> AsyncIterator[Scene]:
    """A scene with its processes at work; ended with everything that belongs to it."""
    redis = AofServer(folder / "redis", fsync)
    redis.server.start()
    try:
        loses = fsync == "everysec"
        run = Run(redis.server.url, str(folder), dict(databases), loses=loses, killers=killers)
        await _create_tables(run)
        scene = Scene(run, redis, rate)
        helpers = [asyncio.create_task(scene.fleet.supervise()), asyncio.create_task(redis.watch())]
        try:
            await scene.fleet.start()
            yield scene
        finally:
            for helper in helpers:
                helper.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.gather(*helpers, return_exceptions=True)
            await scene.aclose()
    finally:
        redis.server.kill()


async def _create_tables(run: Run) -> None:
    for service in (UPSTREAM, APPLIER, BATCHER):
        database: Database = run.database(service)
        await prepare(database)
        if service == UPSTREAM:
            async with database.connect(database.engines.writer) as connection, connection.begin():
                await connection.run_sync(facts.metadata.create_all)
        await database.aclose()


def enough_happened(scene: Scene, seconds: float) -> list[str]:
    """Whether the run deserves its name: faults that did not happen prove nothing."""
    faults, wrong = scene.faults, []
    if sum(faults.kills.values()) < seconds / 3:
        wrong.append(f"only {faults.kills.total()} kills in {seconds:.0f} s")
    if not faults.pauses:
        wrong.append("nobody was paused")
    if len(scene.redis.restarts) != RESTARTS:
        wrong.append(f"Redis was restarted {len(scene.redis.restarts)} times")
    kinds = {member.kind for member in scene.fleet.members}
    wrong += [f"no {kind} was killed" for kind in sorted(kinds - faults.kills.keys())]
    if not scene.queue.takeovers():
        wrong.append("no lease was taken over")
    if not sum(witness.redelivered() for witness in scene.witnesses):
        wrong.append("nothing was delivered twice")
    return wrong
