"""Four processes at the same limits, with clocks that are hours apart."""

import asyncio
import json
from pathlib import Path

import pytest
from rediscore.testing.nursery import Nursery

HOURS = (-1, 0, 1, 24)
ONCE = ("log", "window", "gcra")
LIMIT, SECONDS = 20, 0.4  # of the short ones
Admissions = dict[str, list[tuple[float, float]]]


async def admissions(nursery: Nursery, redis_url: str, prefix: str) -> Admissions:
    """When each admitted call was sent and answered, per limit, of all processes, by sending."""
    script = Path(__file__).with_name("limiter_process.py")
    processes = [await nursery.start(script, redis_url, prefix, hours) for hours in HOURS]
    for process in processes:
        assert await process.stdout.readline() == b"ready\n"
    outputs = await asyncio.gather(*[process.communicate(b"go\n") for process in processes])
    assert [process.returncode for process in processes] == [0] * len(HOURS)
    told = [json.loads(output) for output, _ in outputs]
    return {name: sorted(tuple(times) for one in told for times in one[name]) for name in told[0]}


@pytest.mark.proves("R12", "RL1", "RL2")
async def test_2000_attempts_admit_exactly_the_limit_and_no_window_ever_holds_more(
    nursery: Nursery, redis_url: str, key_prefix: str
) -> None:
    admitted = await admissions(nursery, redis_url, key_prefix)

    assert {kind: len(admitted[kind]) for kind in ONCE} == {"log": 100, "window": 100, "gcra": 100}
    for kind in ("short-log", "short-window"):
        assert len(admitted[kind]) > 2 * LIMIT  # it was at the limit all the time, and went on
        for first, (sent, _) in enumerate(admitted[kind]):
            # Sent after `sent` and answered before its end: certainly admitted within one window.
            inside = [answered for _, answered in admitted[kind][first:] if answered - sent <= SECONDS]
            assert len(inside) <= LIMIT
