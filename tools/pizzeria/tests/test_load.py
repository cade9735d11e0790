"""`pizzeria load`: its figures, its page, and one real load on a running demo."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pizzeria.load.invariants import Verdict
from pizzeria.load.page import page
from pizzeria.load.record import Record, Sent, by_second, percentiles

from tools.pizzeria.tests.demo import Demo

if TYPE_CHECKING:
    from playwright.async_api import Page as Tab


def test_percentiles_are_values_that_were_measured() -> None:
    assert percentiles([]) == {}
    assert percentiles([3.0]) == {50: 3.0, 90: 3.0, 95: 3.0, 99: 3.0}
    assert percentiles(range(1, 101)) == {50: 50, 90: 90, 95: 95, 99: 99}


def test_a_latency_counts_from_when_the_order_was_due() -> None:
    late = Sent(due=1.0, answered=4.0, outcome="accepted")
    assert late.latency == 3.0
    assert Record(1, 10, [late]).accept_seconds() == [3.0]
    assert [len(slot) for slot in by_second([late, Sent(due=99.0)], 3)] == [0, 1, 1]


async def test_the_page_needs_nothing_else_and_shows_text_as_text(tmp_path: Path, tab: "Tab") -> None:
    sent = [Sent(n / 4, n / 4 + 0.1, "accepted", str(n), "delivered", n / 4 + 2) for n in range(40)]
    sent += [Sent(float(n), outcome="refused") for n in range(8)]
    verdicts = [Verdict("I1", "every order ends", broken=("<b>one</b> did not",)), Verdict("I5", "rest")]
    report = tmp_path / "report.html"
    report.write_text(page(Record(4, 10, sent), verdicts, title="A load"))
    asked: list[str] = []
    tab.on("request", lambda request: asked.append(request.url))
    await tab.goto(report.as_uri())
    assert asked == [report.as_uri()]
    await tab.get_by_text("<b>one</b> did not").wait_for()
    assert await tab.locator("svg rect").count() > 15
    assert await tab.get_by_role("cell", name="held back (429)").count() == 1


@pytest.mark.xdist_group("demo")
@pytest.mark.timeout(240)
@pytest.mark.proves("P17")
def test_a_load_on_the_demo_ends_with_a_report(quiet: Demo, tmp_path: Path) -> None:
    html, figures = tmp_path / "load.html", tmp_path / "load.json"
    done = quiet.run("load", "--rate", "4", "--duration", "4", "--html", str(html), "--json", str(figures))
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(figures.read_text())
    assert found["sent"] == found["outcomes"]["accepted"] == found["statuses"]["delivered"] > 3
    assert {v["verdict"] for v in found["invariants"].values()} == {"holds"}
    assert found["accept_seconds"]["p50"] <= found["accept_seconds"]["p99"]
    assert "I2" in html.read_text()
