"""Supervisors of tiny stand-in processes, and helpers that wait for what is true of processes."""

import asyncio
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import psutil
import pytest
from pizzeria.backoff import Backoff
from pizzeria.home import Home
from pizzeria.supervisor import SupervisorOptions
from rediscore.testing.groups import is_last_of_group

from tools.pizzeria.tests.demo import Demo

_STAND_IN = [sys.executable, "-I", str(Path(__file__).with_name("stand_in.py"))]


@pytest.fixture
def options(tmp_path: Path) -> SupervisorOptions:
    """Stand-ins in place of the services and simulators, any free port, an embedded Redis."""
    return SupervisorOptions(
        home=Home(tmp_path / "home"),
        any_port=True,
        commands=dict.fromkeys(("order", "order-2", "kitchen", "menu", "analytics", "simulators"), _STAND_IN),
        backoff=Backoff(0.1, 1.0),
        grace_seconds=3,
        start_seconds=30,
    )


def is_alive(pid: int | None) -> bool:
    """Whether the process runs: a zombie, or an id that nobody has, does not."""
    if pid is None:
        return False
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


@pytest.fixture
def alive() -> Callable[[int | None], bool]:
    """`is_alive`, for test files."""
    return is_alive


@pytest.fixture(scope="session")
def open_demos() -> Iterator[list[Demo]]:
    """The quiet demo while it runs."""
    demos: list[Demo] = []
    yield demos
    for demo in demos:
        demo.stop()


@pytest.fixture
def quiet(
    open_demos: list[Demo], tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Demo]:
    """One quiet demo for all tests of the group `demo`."""
    if not open_demos:
        open_demos.append(Demo(tmp_path_factory.mktemp("quiet"), "--quiet"))
        open_demos[0].wait_for("Ctrl-C ends everything")
    yield open_demos[0]
    if is_last_of_group(request.node):
        open_demos.pop().stop()


class Eventually(Protocol):
    """Waits until something is true."""

    async def __call__(self, true: Callable[[], bool], what: str, *, seconds: float = 15) -> None: ...


@pytest.fixture
def eventually() -> Eventually:
    async def wait(true: Callable[[], bool], what: str, *, seconds: float = 15) -> None:
        deadline = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
            await asyncio.sleep(0.02)

    return wait
