"""The fork server: children that are like programs of their own, and end with it."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from pizzeria.supervisor.forks import ForkServerClient
from pizzeria.supervisor.services import SHARED_MODULES

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="services are forked on Linux only")

Alive = Callable[[int | None], bool]
MODULE = "forked_stand_in"


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[ForkServerClient]:
    here = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    client = ForkServerClient(["colorsys", "no_such_module"], environment=here, log=tmp_path / "server.log")
    yield client
    await client.close()


async def test_a_child_is_like_a_program_of_its_own(server: ForkServerClient, tmp_path: Path) -> None:
    log = tmp_path / "child.log"
    child = await server.fork(MODULE, {"MODE": "exit"}, log)
    assert await child.wait() == 7
    said = json.loads(log.read_text())
    assert said == {
        "argv": [],
        "environment": {"MODE": "exit"},
        "session": child.pid,
        "threads": 1,
        "preloaded": True,
        "stdin": "",
    }


async def test_an_error_goes_to_the_log_of_the_child(server: ForkServerClient, tmp_path: Path) -> None:
    log = tmp_path / "child.log"
    child = await server.fork(MODULE, {"MODE": "raise"}, log)
    assert await child.wait() == 1
    assert "RuntimeError: as told" in log.read_text()
    missing = await server.fork("no_such_module", {}, log)
    assert await missing.wait() == 1
    assert "No module named no_such_module" in log.read_text()


async def test_many_at_once_and_each_end_is_told(server: ForkServerClient, tmp_path: Path) -> None:
    children = await asyncio.gather(
        *(server.fork(MODULE, {"MODE": "stay"}, tmp_path / f"{n}.log") for n in range(5))
    )
    assert len({child.pid for child in children}) == 5
    for child in children:
        os.kill(child.pid, signal.SIGKILL)
    assert [await child.wait() for child in children] == [-signal.SIGKILL] * 5


async def test_children_die_with_the_server_and_the_next_one_gets_a_new_server(
    server: ForkServerClient, tmp_path: Path, alive: Alive, eventually: Any
) -> None:
    child = await server.fork(MODULE, {"MODE": "stay"}, tmp_path / "one.log")
    os.kill(child.pid, signal.SIGSTOP)
    first = server.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    assert await child.wait() == -signal.SIGKILL
    await eventually(lambda: not alive(child.pid), "the child is gone")
    other = await server.fork(MODULE, {"MODE": "exit"}, tmp_path / "two.log")
    assert await other.wait() == 7
    assert server.pid not in (first, None)


async def test_close_leaves_nothing(
    server: ForkServerClient, tmp_path: Path, alive: Alive, eventually: Any
) -> None:
    child = await server.fork(MODULE, {"MODE": "stay"}, tmp_path / "one.log")
    pid = server.pid
    await server.close()
    assert child.returncode == -signal.SIGKILL
    assert not alive(pid)
    await eventually(lambda: not alive(child.pid), "the child is gone")


def test_what_is_shared_can_be_imported_and_starts_no_thread() -> None:
    script = (
        "import os, sys; from pizzeria.fork_server import preload; preload(sys.argv[1:]); "
        "print(len(os.listdir('/proc/self/task')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *SHARED_MODULES], capture_output=True, text=True, timeout=60
    )
    assert (done.stdout, done.stderr) == ("1\n", "")
