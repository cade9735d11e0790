"""What operators do from the command line, on a running demo."""

import json
import re
import uuid

import pytest
import redis
from pizzeria.state import State

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
