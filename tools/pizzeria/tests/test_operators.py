"""What operators do from the command line, on a running demo."""

import json
import re
import subprocess
import uuid
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from pizzeria.state import State
from rediscore.client import RedisConnections
from rediscore.keys import KeySpace
from rediscore.settings import RedisSettings
from rediscore.tasks import Tasks

from tools.pizzeria.tests.demo import Demo

pytestmark = [pytest.mark.xdist_group("demo"), pytest.mark.timeout(240)]


@pytest.fixture
def poisoned(quiet: Demo) -> Demo:
    """The demo with one event in the kitchen's stream that menu and analytics cannot handle."""
    if json.loads(quiet.run("dead-letters", "list", "--service", "analytics", "--json").stdout):
        return quiet
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
def test_operators_edit_a_dead_letter_in_an_editor_or_from_a_file(poisoned: Demo, tmp_path: Path) -> None:
    def edit(*options: str, editor: str = "") -> subprocess.CompletedProcess[str]:
        return poisoned.run("dead-letters", "edit", ref, *options, EDITOR=editor, VISUAL="")

    def edited() -> dict[str, Any]:
        shown: dict[str, Any] = json.loads(poisoned.run("dead-letters", "show", ref).stdout)
        return shown

    (letter,) = json.loads(poisoned.run("dead-letters", "list", "--service", "analytics", "--json").stdout)
    ref = letter["ref"]
    assert "EDITOR is not set" in edit().stderr
    assert "nothing was changed" in edit(editor="false").stderr
    assert edit(editor="true").stdout == "Nothing changed.\n"
    spoilt = tmp_path / "event.json"
    spoilt.write_text("{")
    assert "That is no JSON" in edit("--body-file", str(spoilt)).stderr
    assert not edited()["edited"]
    spoilt.write_text(json.dumps(edited()["event"] | {"data": {"ingredient": "basil"}}))
    assert edit("--body-file", str(spoilt)).returncode == 0
    assert edited()["event"]["data"] == {"ingredient": "basil"}
    assert edit(editor="sed -i s/basil/truffle/").returncode == 0
    assert edited()["event"]["data"] == {"ingredient": "truffle"}
    assert poisoned.run("dead-letters", "redrive", ref).returncode == 0
    poisoned.until("dead-letters", "show", ref, true=lambda out: json.loads(out)["state"] == "redriven")


@pytest.mark.proves("P16")
async def test_operators_retry_dead_tasks_and_cancel_scheduled_ones(quiet: Demo) -> None:
    def calls(state: str) -> dict[str, Any]:
        listed = json.loads(quiet.run("tasks", "list", "--state", state, "--json").stdout)["order"]["items"]
        return {call["id"]: call for call in listed}

    async with AsyncExitStack() as stack:
        connections = RedisConnections(RedisSettings.from_url(State.read(quiet.home.state_file).redis.url))
        stack.push_async_callback(connections.aclose)
        tasks = Tasks(connections, "tasks", keys=KeySpace("order"))

        @tasks.task(name="of-nobody")
        async def nothing() -> None: ...

        await nothing.apply_async(task_id="dead")
        await nothing.apply_async(task_id="later", countdown=timedelta(hours=1))
    quiet.until("tasks", "list", "--json", true=lambda _: "dead" in calls("dead"))
    assert quiet.run("tasks", "retry", "dead").returncode == 0
    quiet.until("tasks", "list", "--json", true=lambda _: "dead" in calls("dead"))  # nobody knows it still
    assert "later" in calls("scheduled")
    assert quiet.run("tasks", "cancel", "later").returncode == 1, "it asks first, and nobody answered"
    assert quiet.run("tasks", "cancel", "later", "dead", "--yes").returncode == 0
    assert "later" not in calls("scheduled")


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
