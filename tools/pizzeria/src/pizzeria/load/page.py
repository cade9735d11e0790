"""The report as one HTML file with charts, which needs nothing else."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape
from pathlib import Path

from pizzeria.load.charts import Series, bars, lines
from pizzeria.load.invariants import Verdict
from pizzeria.load.record import PERCENTILES, Record, by_second, percentiles
from pizzeria.load.view import OUTCOMES

_STYLE = Path(__file__).with_name("page.css").read_text("utf-8")
_STEPS = 40
_DOCUMENT = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="color-scheme" content="light dark">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>{style}</style>
</head>
<body><main>{content}</main></body>
</html>
"""


def page(record: Record, verdicts: Sequence[Verdict], *, title: str) -> str:
    """The whole document."""
    slots = by_second(record.sent, round(record.duration))
    seconds = [float(second) for second in range(len(slots))]
    outcomes = [
        Series(OUTCOMES[outcome][0], [float(sum(one.outcome == outcome for one in slot)) for slot in slots])
        for outcome in OUTCOMES
        if record.outcomes[outcome]
    ]
    cuts = [percentiles(one.latency for one in slot if one.latency is not None) for slot in slots]
    latency = [
        Series(f"p{p}", [cut[p] * 1000 if p in cut else None for cut in cuts]) for p in (50, 95) if any(cuts)
    ]
    when = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    plan = f"{record.rate:g} orders/s for {record.duration:g} s, {len(record.sent)} sent"
    parts = [
        f"<h1>{escape(title)}</h1><p class=dim>{when} · {plan}</p>",
        _section("Outcomes", _table(["", "orders", "share"], _outcome_rows(record))),
        _section("Latency, seconds", _table(["", *(f"p{p}" for p in PERCENTILES)], _latency_rows(record))),
        _section("Answers in each second", bars(seconds, outcomes, unit="orders")),
        _section("Until 201, in each second", lines(seconds, latency, unit="ms")),
        _section("Until delivered", _histogram(record.delivery_seconds())),
        _section("Invariants", _table(["", "", ""], _verdict_rows(verdicts))),
    ]
    return _DOCUMENT.format(title=escape(title), style=_STYLE, content="".join(parts))


def as_json(record: Record, verdicts: Sequence[Verdict]) -> str:
    """The figures for programs."""
    found = {
        "rate": record.rate,
        "duration_seconds": record.duration,
        "sent": len(record.sent),
        "outcomes": dict(record.outcomes),
        "statuses": dict(record.statuses),
        "accept_seconds": {f"p{p}": cut for p, cut in percentiles(record.accept_seconds()).items()},
        "delivery_seconds": {f"p{p}": cut for p, cut in percentiles(record.delivery_seconds()).items()},
        "invariants": {v.id: {"verdict": v.word, "broken": list(v.broken)} for v in verdicts},
    }
    return json.dumps(found, indent=2) + "\n"


def _outcome_rows(record: Record) -> list[list[str]]:
    found = record.outcomes
    rows = [
        [name, str(found[outcome]), f"{found[outcome] / len(record.sent):.1%}"]
        for outcome, (name, _) in OUTCOMES.items()
        if found[outcome]
    ]
    return rows + [[f"… {status}", str(count), ""] for status, count in sorted(record.statuses.items())]


def _latency_rows(record: Record) -> list[list[str]]:
    rows = {"until 201": record.accept_seconds(), "until delivered": record.delivery_seconds()}
    return [
        [name, *(f"{cut:.3f}" for cut in percentiles(values).values())]
        for name, values in rows.items()
        if values
    ]


def _verdict_rows(verdicts: Sequence[Verdict]) -> list[list[str]]:
    return [[v.id, v.word, "; ".join(filter(None, (v.claim, *v.broken[:20], v.pending)))] for v in verdicts]


def _histogram(values: Sequence[float]) -> str:
    if not values:
        return "<p class=dim>No order was delivered.</p>"
    width = max(values) / _STEPS or 1.0
    counts = [0.0] * _STEPS
    for value in values:
        counts[min(_STEPS - 1, int(value / width))] += 1
    return bars([step * width for step in range(_STEPS)], [Series("orders", counts)], unit="orders")


def _section(title: str, content: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{content}</section>"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in heads)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
