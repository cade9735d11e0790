"""The live view of a load, and its report in a terminal."""

from collections.abc import Mapping, Sequence

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from pizzeria.load.generator import LoadGenerator
from pizzeria.load.invariants import Verdict
from pizzeria.load.record import PERCENTILES, Record, percentiles

OUTCOMES: Mapping[str, tuple[str, str]] = {
    "accepted": ("accepted (201)", "green"),
    "refused": ("held back (429)", "yellow"),
    "unavailable": ("unavailable (503)", "yellow"),
    "sold_out": ("sold out (422)", "yellow"),
    "failed": ("failed", "red"),
    "unanswered": ("no answer", "red"),
    "waiting": ("on the way", "dim"),
}
_WORDS: Mapping[str, str] = {"holds": "green", "not yet": "yellow", "BROKEN": "bold red"}


def live_view(load: LoadGenerator) -> RenderableType:
    """How it goes: a bar, the outcomes, what became of the accepted ones."""
    record, elapsed = load.record, load.elapsed
    if not elapsed:
        return Text("Guests sign in …")
    phase = "sending" if elapsed < record.duration else f"waiting for {len(record.open)} orders to end"
    return Group(
        ProgressBar(total=record.duration, completed=min(elapsed, record.duration), width=60),
        Text(f"{elapsed:5.0f} s of {record.duration:.0f} s, {phase}"),
        _outcomes(record),
        _statuses(record),
        _latencies(record),
    )


def report(record: Record, verdicts: Sequence[Verdict]) -> RenderableType:
    """What came of it."""
    checks = Table(box=None, pad_edge=False, title="Invariants", title_justify="left")
    for column in ("", "", ""):
        checks.add_column(column, overflow="fold")
    for verdict in verdicts:
        told = "; ".join((*verdict.broken[:5], *([verdict.pending] if verdict.pending else [])))
        checks.add_row(
            Text(verdict.word, _WORDS[verdict.word]),
            verdict.id,
            f"{verdict.claim}: {told}" if told else verdict.claim,
        )
    return Group(_outcomes(record), Text(), _statuses(record), Text(), _latencies(record), Text(), checks)


def _outcomes(record: Record) -> RenderableType:
    table = Table(box=None, pad_edge=False, title=f"Sent: {len(record.sent)}", title_justify="left")
    found = record.outcomes
    for outcome, (name, style) in OUTCOMES.items():
        if found[outcome]:
            share = found[outcome] / len(record.sent)
            table.add_row(Text(name, style), f"{found[outcome]}", f"{share:.1%}")
    return table


def _statuses(record: Record) -> RenderableType:
    words = ", ".join(f"{count} {status}" for status, count in sorted(record.statuses.items()))
    return Text(f"Accepted orders: {words or 'none'}")


def _latencies(record: Record) -> RenderableType:
    table = Table(box=None, pad_edge=False)
    table.add_column("seconds")
    for p in PERCENTILES:
        table.add_column(f"p{p}", justify="right")
    for name, values in (
        ("until 201", record.accept_seconds()),
        ("until delivered", record.delivery_seconds()),
    ):
        cuts = percentiles(values)
        if cuts:
            table.add_row(name, *(f"{cuts[p]:.3f}" for p in PERCENTILES))
    return table
