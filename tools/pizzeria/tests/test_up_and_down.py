"""`up` in the foreground, ended in every way there is; `down`, and commands when nothing runs."""

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from pizzeria.down import down
from pizzeria.home import Home
from pizzeria.state import State
from pizzeria.supervisor.run_lock import RunRecord

Alive = Callable[[int | None], bool]
PIZZERIA = [sys.executable, "-m", "pizzeria"]


class Foreground:
    """One `up`, its files and what it has printed."""

    def __init__(self, home: Home) -> None:
        self.home = home
        script = Path(__file__).with_name("stand_in_up.py")
        self.process = subprocess.Popen(
            [sys.executable, script, home.path],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def is_open(self) -> bool:
        assert self.process.poll() is None, self.output()
        return self.home.state_file.exists()

    def children(self) -> list[int]:
        record = RunRecord.read(self.home.record_file)
        assert record is not None
        assert record.processes.keys() == {"redis", "order", "kitchen", "menu", "analytics", "simulators"}
        return [mark.pid for mark in record.processes.values()]

    def output(self) -> str:
        return self.process.communicate(timeout=20)[0]


@pytest.fixture
async def foreground(tmp_path: Path, eventually: Any) -> AsyncIterator[Foreground]:
    run = Foreground(Home(tmp_path / "home"))
    try:
        await eventually(run.is_open, "up is ready", seconds=30)
        yield run
    finally:
        run.process.kill()
        run.process.wait()
        if run.process.stdout is not None:
            run.process.stdout.close()
        down(run.home)


@pytest.mark.proves("P17")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_a_signal_ends_everything_with_exit_code_0(
    foreground: Foreground, alive: Alive, number: signal.Signals
) -> None:
    children = foreground.children()
    os.kill(foreground.process.pid, number)
    assert foreground.output().endswith("Closed. Nothing is left running.\n")
    assert foreground.process.returncode == 0
    assert not any(alive(pid) for pid in children)
    assert not foreground.home.state_file.exists()


async def test_ctrl_c_while_it_starts_ends_everything(tmp_path: Path, alive: Alive, eventually: Any) -> None:
    run = Foreground(Home(tmp_path / "home"))
    await eventually(lambda: RunRecord.read(run.home.record_file) is not None, "something has started")
    record = RunRecord.read(run.home.record_file)
    os.kill(run.process.pid, signal.SIGINT)
    assert "Closed. Nothing is left running." in run.output()
    assert run.process.returncode == 0
    assert record is not None
    assert not any(alive(mark.pid) for mark in record.processes.values())
    assert not run.home.record_file.exists()


async def test_it_goes_on_when_nobody_reads_its_output(foreground: Foreground, eventually: Any) -> None:
    assert foreground.process.stdout is not None
    foreground.process.stdout.close()
    before = State.read(foreground.home.state_file).services["menu"].pid
    os.kill(before or 0, signal.SIGKILL)  # which is told
    await eventually(
        lambda: State.read(foreground.home.state_file).services["menu"].pid not in (before, None),
        "menu runs again",
    )
    foreground.process.terminate()
    assert foreground.process.wait(20) == 0


@pytest.mark.proves("P17")
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the next run ends what is left")
async def test_nothing_is_left_running_when_the_supervisor_is_killed(
    foreground: Foreground, alive: Alive, eventually: Any
) -> None:
    children = foreground.children()
    os.kill(children[0], signal.SIGSTOP)  # a paused process, too
    foreground.process.kill()
    await eventually(lambda: not any(alive(pid) for pid in children), "all children are gone")
    assert foreground.home.state_file.exists()
    shown = run_cli(foreground.home, "status")
    assert shown.returncode == 1
    assert "was killed" in shown.stderr
    assert down(foreground.home) == "Nothing is running."
    assert not foreground.home.state_file.exists()


async def test_down_ends_what_runs(foreground: Foreground, alive: Alive) -> None:
    children = foreground.children()
    closed = run_cli(foreground.home, "down")
    assert closed.stdout == "Closed. Nothing is left running.\n"
    assert not any(alive(pid) for pid in children)
    assert foreground.process.wait(5) == 0


async def test_a_second_up_says_that_one_runs(foreground: Foreground) -> None:
    second = Foreground(foreground.home)
    assert f"already runs here (process {foreground.process.pid})" in second.output()
    assert second.process.returncode == 1
    assert foreground.is_open()


async def test_up_prints_what_a_newcomer_needs(foreground: Foreground) -> None:
    state = State.read(foreground.home.state_file)
    foreground.process.terminate()
    printed = foreground.output()
    for endpoint in state.services.values():
        assert f"{endpoint.url}/docs" in printed
    place, follow = (line for line in printed.splitlines() if "curl" in line)
    assert f"{state.services['order'].url}/orders" in place
    assert "Authorization: Bearer a-guest" in place
    assert f"{state.services['order'].url}/orders/$ORDER/live" in follow
    assert not any(token in printed for token in state.tokens.values())


@pytest.mark.parametrize("command", ["status", "menu", "order"])
def test_commands_say_when_nothing_runs(tmp_path: Path, command: str) -> None:
    done = run_cli(Home(tmp_path), command)
    assert done.returncode == 1
    assert done.stderr == "The pizzeria is not running. Start it with `make demo`.\n"


def test_down_is_content_when_nothing_runs(tmp_path: Path) -> None:
    done = run_cli(Home(tmp_path / "never"), "down")
    assert (done.returncode, done.stdout) == (0, "Nothing is running.\n")


@pytest.mark.parametrize("command", ["up", "down", "status", "order", "menu"])
def test_every_command_has_help(tmp_path: Path, command: str) -> None:
    done = run_cli(Home(tmp_path), command, "--help")
    assert done.returncode == 0
    assert f"pizzeria {command}" in done.stdout


def test_databases_are_not_shared(tmp_path: Path) -> None:
    done = run_cli(Home(tmp_path), "up", "--database-url", "postgresql://localhost/pizzeria")
    assert done.returncode == 1
    assert "write {service} into --database-url" in done.stderr


def run_cli(home: Home, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PIZZERIA, *arguments],
        env={**os.environ, "PIZZERIA_HOME": str(home.path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
