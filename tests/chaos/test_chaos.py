"""Workers are killed at random under load, Redis restarts three times, and nothing is lost or doubled.

`make soak` runs it for SOAK_SECONDS; a short run with few items is part of `make test`. What is promised
with each way of Redis to write its log, and which protection each rule needs: docs/protections.md.
"""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.chaos.harness_redis import Fsync
from tests.chaos.harness_scene import SEED, Scene, enough_happened, on_stage

SECONDS = float(os.environ.get("SOAK_SECONDS", "120"))
SHORT = 8.0
REST = 120.0

pytestmark = pytest.mark.proves("R16", "R17", "R18", "I3", "I5", "I9")


async def run(scene: Scene, seconds: float, every: float) -> None:
    print(f"{seconds:.0f} s with SOAK_SEED={SEED}")  # noqa: T201 - pytest shows it when the run fails
    await scene.play(seconds, every)
    gone = await scene.fleet.retire("writer")
    assert gone == [], scene.report("writers", gone)
    await scene.settle(REST)
    left = await scene.leave()
    assert left == [], scene.report("at the end", left)
    ended = scene.fleet.unexpected_ends()
    assert ended == [], scene.report("crashes", ended)
    broken = await scene.broken()
    assert broken == [], scene.report("broken", broken)
    missing = enough_happened(scene, seconds)
    assert missing == [], scene.report("too little happened", missing)


@pytest.mark.xdist_group("chaos")  # with a group it begins first
@pytest.mark.timeout(SHORT + 180)
async def test_nothing_is_lost_or_doubled_in_a_short_run(
    tmp_path: Path, sqlite_databases: Mapping[str, str]
) -> None:
    async with on_stage(tmp_path, "always", sqlite_databases, rate=12, killers=False) as scene:
        await run(scene, SHORT, every=0.4)


@pytest.mark.soak
@pytest.mark.timeout(SECONDS + 300)
@pytest.mark.parametrize(
    "fsync",
    [
        pytest.param(fsync, marks=pytest.mark.xdist_group(f"chaos-{fsync}"))
        for fsync in ("always", "everysec")
    ],
)
async def test_nothing_is_lost_or_doubled(tmp_path: Path, fsync: Fsync, databases: Mapping[str, str]) -> None:
    async with on_stage(tmp_path, fsync, databases, rate=20, killers=True) as scene:
        await run(scene, SECONDS, every=0.8)
