"""The demo itself: real services, the printed lines pasted into a shell, the other commands beside it."""

import os
import re
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from pizzeria.state import State
from pizzeria.supervisor.run_lock import RunRecord

from tools.pizzeria.tests.demo import Demo

pytestmark = [pytest.mark.xdist_group("demo"), pytest.mark.timeout(240)]


@pytest.mark.proves("P17")
def test_the_printed_lines_place_an_order_and_follow_it_until_it_is_delivered(quiet: Demo) -> None:
    lines = [line for line in quiet.output.read_text().splitlines() if "curl" in line]
    assert len(lines) == 2
    pasted = subprocess.run(["sh", "-c", "\n".join(lines)], capture_output=True, text=True, timeout=60)
    assert '"status":"pending"' in pasted.stderr
    assert '"status":"delivered"' in pasted.stdout.splitlines()[-2]


@pytest.mark.proves("P17")
def test_order_follows_an_order_through_its_journey(quiet: Demo) -> None:
    done = quiet.run_process("order", "pepperoni:large:2", "margherita", "--express")
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
    done = quiet.run_process("order", "margherita:huge")
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


@pytest.mark.proves("P17")
def test_what_was_ordered_survives_the_next_start(tmp_path: Path) -> None:
    first = Demo(tmp_path, "--quiet")
    first.wait_for("Ctrl-C ends everything")
    placed = first.run("order").stdout.split()[1]
    assert first.stop() == 0
    second = Demo(tmp_path, "--rate", "1")
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
