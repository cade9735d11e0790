"""A worker is killed with -9 in the middle of a job: when does it run again elsewhere?"""

import asyncio
import time
from collections.abc import Sequence

from bench.queues.players import PEERS, TASKS, Library, ask, start, stop
from bench.rediscore.harness import Case, Found, Measured, Table

OURS_SECONDS, PEERS_SECONDS = 30, 470
"""Patience."""


async def runs_again_after(library: Library, url: str, patience: float) -> float:
    """Seconds from the kill until a second worker, which waits already, runs the job; infinite if never."""
    victim, heir = await start(library, url), await start(library, url)
    try:
        await ask(victim, library, "hang")
        resumed = asyncio.create_task(ask(heir, library, "resume"))
        await asyncio.sleep(1)
        victim.kill()
        killed = time.perf_counter()
        done, _ = await asyncio.wait({resumed}, timeout=patience)
        if not done:
            resumed.cancel()
            return float("inf")
        resumed.result()
        return time.perf_counter() - killed
    finally:
        await stop([victim, heir])


async def measure(url: str, *, peers: bool) -> tuple[Table, list[Found]]:
    """All at the same time: they do nothing but wait."""
    libraries = [TASKS, *(peer for peer in PEERS if peers and peer.installed)]
    took = await asyncio.gather(
        *(runs_again_after(one, url, OURS_SECONDS if one is TASKS else PEERS_SECONDS) for one in libraries)
    )
    cases = [_case(library, {"s": 11.0} if library is TASKS else {}) for library in libraries]
    found = [Found(case, {"s": [seconds]}) for case, seconds in zip(cases, took, strict=True)]
    return Table("Killed in mid-job, runs again after", cases), found


def _case(library: Library, goals: dict[str, float]) -> Case:
    async def once() -> Measured:
        raise NotImplementedError

    return Case(library.name, library.role, once, goals)


__all__: Sequence[str] = ("measure",)
