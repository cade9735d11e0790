"""Supervisors of tiny stand-in processes, and helpers that wait for what is true of processes."""

import asyncio
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from pizzeria.home import Home
from pizzeria.supervisor import SupervisorOptions

STAND_IN = [sys.executable, str(Path(__file__).with_name("stand_in.py"))]
NAMES = ("order", "order-2", "kitchen", "menu", "analytics", "simulators")


@pytest.fixture
def options(tmp_path: Path) -> SupervisorOptions:
    """Stand-ins in place of the services, any free port, an embedded Redis."""
    return SupervisorOptions(
        home=Home(tmp_path / "home"),
        any_port=True,
        commands=dict.fromkeys(NAMES, STAND_IN),
        grace_seconds=2,
        start_seconds=20,
    )


def alive(pid: int) -> bool:
    """Whether the process runs: a zombie, or an id that nobody has, does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def eventually(true: Callable[[], bool], what: str, *, seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"not in {seconds} s: {what}"
        await asyncio.sleep(0.02)
