"""The demo itself: real services, the printed lines pasted into a shell, the other commands beside it."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from pizzeria.home import Home
from pizzeria.state import State
from pizzeria.supervisor.run_lock import RunRecord

pytestmark = [pytest.mark.xdist_group("demo"), pytest.mark.timeout(240)]

READY_SECONDS = 60.0


class Demo:
    """`pizzeria up`, real, in a folder of its own; its output goes to a file."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.home = Home(folder / "home")
        self.output = folder / "output"
        self._environment = {**os.environ, "PIZZERIA_HOME": str(self.home.path)}
        with self.output.open("w") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "pizzeria", "up", *options],
                env=self._environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def wait_for(self, pattern: str, *, seconds: float = READY_SECONDS) -> re.Match[str]:
        deadline = time.monotonic() + seconds
        while (found := re.search(pattern, self.output.read_text())) is None:
            assert self.process.poll() is None, self.output.read_text()
            assert time.monotonic() < deadline, f"no {pattern!r} in:\n{self.output.read_text()}"
            time.sleep(0.05)
        return found

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "pizzeria", *arguments],
            env={**self._environment, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=90,
        )

    def until(self, *arguments: str, true: Callable[[str], object]) -> None:
        """Run a command until its output is so."""
        deadline = time.monotonic() + READY_SECONDS
        while not true((done := self.run(*arguments)).stdout):
            assert time.monotonic() < deadline, f"{arguments}: {done.stdout}{done.stderr}"
            time.sleep(0.1)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(40)
        finally:
            self.process.kill()


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """One quiet demo for the tests that only order."""
    demo = Demo(tmp_path_factory.mktemp("quiet"), "--quiet")
    try:
        demo.wait_for("Ctrl-C ends everything")
        yield demo
    finally:
        demo.stop()


@pytest.mark.proves("P17")
def test_the_printed_lines_place_an_order_and_follow_it_until_it_is_delivered(quiet: Demo) -> None:
    lines = [line for line in quiet.output.read_text().splitlines() if "curl" in line]
    assert len(lines) == 2
    pasted = subprocess.run(["sh", "-c", "\n".join(lines)], capture_output=True, text=True, timeout=60)
    assert '"status":"pending"' in pasted.stderr
    assert '"status":"delivered"' in pasted.stdout.splitlines()[-2]


@pytest.mark.proves("P17")
def test_order_follows_an_order_through_its_journey(quiet: Demo) -> None:
    done = quiet.run("order", "pepperoni:large:2", "margherita", "--express")
    assert done.returncode == 0, done.stdout + done.stderr
    steps = re.findall(r" s  (\S+)\.v1", done.stdout)
    assert steps[:2] == ["order.placed", "payment.captured"]
    assert steps.count("kitchen.ticket_completed") == 3
    assert steps[-1] == "delivery.completed"
    assert "delivered; captured 51.97 EUR, refunded 0.00 EUR" in done.stdout


def test_order_tells_that_a_card_was_declined(quiet: Demo) -> None:
    done = quiet.run("order", "--card", "tok_declined")
    assert done.returncode == 1
    assert "cancelled; captured 0.00 EUR" in done.stdout


def test_order_tells_what_is_wrong_with_the_order(quiet: Demo) -> None:
    done = quiet.run("order", "margherita:huge")
    assert done.returncode == 1
    assert "/items/0/size" in done.stderr
    assert "Traceback" not in done.stderr


def test_token_is_the_one_of_the_role(quiet: Demo) -> None:
    assert quiet.run("token", "cook").stdout.strip() == State.read(quiet.home.state_file).tokens["cook"]
    refused = quiet.run("token", "owner")
    assert refused.returncode == 1
    assert "cook, driver, manager, service" in refused.stderr


def test_menu_shows_the_seeded_prices(quiet: Demo) -> None:
    shown = quiet.run("menu").stdout
    assert re.search(r"margherita +10\.39 +12\.99 +16\.89", shown)


def test_status_shows_all_processes_ready(quiet: Demo) -> None:
    shown = quiet.run("status").stdout
    for service, endpoint in State.read(quiet.home.state_file).services.items():
        assert re.search(rf"{service} +{endpoint.url} +{endpoint.pid} +\d+ MB +ready", shown)
    for other in ("redis", "simulators", "supervisor", "together"):
        assert re.search(rf"^{other} .*\d+ MB", shown, re.MULTILINE)


@pytest.fixture(scope="module")
def poisoned(quiet: Demo) -> Demo:
    """The demo with an event in the kitchen's stream that menu and analytics cannot handle."""
    event = {
        "specversion": "1.0",
        "id": str(uuid.uuid4()),
        "source": "/pizzeria/kitchen",
        "type": "pizzeria.stock.low.v1",
        "subject": "truffle",
        "time": "2026-11-28T12:00:00Z",
        "data": {},
    }
    with redis.Redis.from_url(State.read(quiet.home.state_file).redis.url) as store:
        store.xadd("kitchen.events", {"__data__": json.dumps(event)})
    for service in ("menu", "analytics"):
        quiet.until("dead-letters", "list", "--service", service, "--json", true=json.loads)
    return quiet


@pytest.mark.proves("P16")
def test_operators_list_show_edit_and_redrive_a_dead_letter(poisoned: Demo) -> None:
    shown = poisoned.run("dead-letters", "list")
    assert "invalid-payload" in shown.stdout, shown.stderr
    (letter,) = json.loads(poisoned.run("dead-letters", "list", "--service", "menu", "--json").stdout)
    ref = letter["ref"]
    assert json.loads(poisoned.run("dead-letters", "show", ref).stdout)["event"]["data"] == {}
    refused = poisoned.run("dead-letters", "edit", ref, "--set", "/data/weight=3")
    assert (refused.returncode, "/event/data/ingredient" in refused.stderr) == (1, True)
    edited = poisoned.run("dead-letters", "edit", ref, "--set", "/data/ingredient=truffle")
    assert edited.returncode == 0, edited.stderr
    assert poisoned.run("dead-letters", "redrive", ref).returncode == 0
    poisoned.until("dead-letters", "show", ref, true=lambda out: json.loads(out)["state"] == "redriven")


@pytest.mark.proves("P16")
def test_operators_redrive_all_and_drop_with_a_reason(poisoned: Demo) -> None:
    unsure = poisoned.run("dead-letters", "redrive", "--all", "--service", "analytics")
    assert unsure.returncode == 1, "it asks first, and nobody answered"
    again = poisoned.run("dead-letters", "redrive", "--all", "--yes", "--service", "analytics")
    assert (again.returncode, "1 dead again" in again.stdout) == (1, True), again.stdout + again.stderr
    (letter,) = json.loads(poisoned.run("dead-letters", "list", "--service", "analytics", "--json").stdout)
    assert letter["redrives"] == 1
    assert poisoned.run("dead-letters", "drop", letter["ref"], "--yes").returncode == 2, "why?"
    dropped = poisoned.run("dead-letters", "drop", letter["ref"], "--yes", "--reason", "a test")
    assert dropped.returncode == 0, dropped.stderr
    assert json.loads(poisoned.run("dead-letters", "list", "--service", "analytics", "--json").stdout) == []
    assert poisoned.run("dead-letters", "show", "order/999").returncode == 1


@pytest.mark.proves("P16")
def test_operators_see_lag_breakers_and_tasks_and_switch_faults(quiet: Demo) -> None:
    lag = quiet.run("lag")
    assert lag.returncode == 0, lag.stderr
    assert re.search(r"order +hears kitchen\.events", lag.stdout)
    assert re.search(r"kitchen +tells", lag.stdout)
    assert json.loads(quiet.run("breakers", "--json").stdout)["order"]["items"]
    assert quiet.run("tasks", "list").returncode == 0
    on = quiet.run("faults", "on", "errors", "--value", "1", "--seconds", "60", "--service", "menu")
    assert "errors http for 60 s in menu" in on.stdout, on.stderr
    assert "100% of requests" in quiet.run("faults", "list").stdout
    assert quiet.run("menu").returncode == 1
    assert quiet.run("faults", "off").returncode == 0
    assert quiet.run("menu").returncode == 0


def test_operators_elsewhere_name_a_variable_with_the_token(quiet: Demo) -> None:
    state = State.read(quiet.home.state_file)
    url = state.services["menu"].url
    assert "--token-env" in quiet.run("lag", "--url", url).stderr
    wrong = quiet.run("lag", "--url", url, "--token-env", "TOKEN", TOKEN="nobody")
    assert (wrong.returncode, "401" in wrong.stderr) == (1, True)
    right = quiet.run("lag", "--url", url, "--token-env", "TOKEN", TOKEN=state.tokens["manager"])
    assert "hears kitchen.events" in right.stdout


@pytest.mark.proves("P17")
def test_what_was_ordered_survives_the_next_start(tmp_path: Path) -> None:
    first = Demo(tmp_path, "--quiet")
    first.wait_for("Ctrl-C ends everything")
    placed = first.run("order").stdout.split()[1]
    assert first.stop() == 0
    second = Demo(tmp_path, "--rate", "5")
    try:
        second.wait_for("Ctrl-C ends everything")
        # Without a terminal every change of an order is a line.
        moved = second.wait_for(r"order (\S+) delivering → delivered")[1]
        assert moved != placed
        state = State.read(second.home.state_file)
        order = subprocess.run(
            [
                "curl",
                "-s",
                f"{state.services['order'].url}/orders/{placed}",
                "-H",
                f"Authorization: Bearer {state.tokens['manager']}",
            ],
            capture_output=True,
            text=True,
            timeout=20,
        )
        assert '"status":"delivered"' in order.stdout
        os.kill(state.services["menu"].pid or 0, signal.SIGKILL)
        second.wait_for(r"menu ended killed by SIGKILL, started again in 0\.2 s")
        second.wait_for(r"menu ready")
        # All services die with the process that they were forked from.
        forks = RunRecord.read(second.home.record_file)
        assert forks is not None
        os.kill(forks.processes["fork-server"].pid, signal.SIGKILL)
        second.wait_for(r"(?s)order ended.*order ready")
        assert second.run("order").returncode == 0
    finally:
        assert second.stop() == 0
    assert second.output.read_text().endswith("Closed. Nothing is left running.\n")


async def test_the_example_of_the_readme_runs(tmp_path: Path) -> None:
    readme = Path(__file__).parents[1].joinpath("README.md").read_text()
    (snippet,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(snippet, "README.md", "exec"), names)  # noqa: S102  our own README
    assert (await names["example"](tmp_path)).startswith("http://127.0.0.1:")
