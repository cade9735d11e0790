"""The table on the screen and the file with all that was measured."""

import json
import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from bench.rediscore.harness import Found, Role, Table

_STYLES = {Role.RAW: "dim", Role.OURS: "bold", Role.PEER: "", Role.BLOCKING: "dim italic"}
_ORDER = ["ratio", "cpu", "us", "cpu us", "commands"]


def grid(table: Table, found: Sequence[Found]) -> Grid:
    """One table: ours with their goals, peers, the baseline."""
    columns = _columns(found)
    shown = Grid(title=table.title, title_justify="left", title_style="bold")
    shown.add_column("")
    for column in columns:
        shown.add_column(column, justify="right")
    shown.add_column("goal")
    for row in found:
        cells = [_number(row.median(column)) for column in columns]
        shown.add_row(row.case.name, *cells, _goal(row), style=_STYLES[row.case.role])
    return shown


def summary(results: Sequence[tuple[Table, Sequence[Found]]]) -> Grid:
    """Every goal with what we reach and what the best peer reaches."""
    shown = Grid(title="Goals", title_justify="left", title_style="bold")
    for column in ("", "measure"):
        shown.add_column(column)
    for column in ("goal", "ours", "best peer"):
        shown.add_column(column, justify="right")
    shown.add_column("peer")
    for table, found in results:
        for row in found:
            for column, limit in row.case.goals.items():
                ours = row.median(column)
                reached = ours is not None and ours <= limit
                best = min(
                    (
                        (value, other.case.name)
                        for other in found
                        if other.case.role is Role.PEER and (value := other.median(column)) is not None
                    ),
                    default=(None, "none has it"),
                )
                shown.add_row(
                    f"{table.title}: {row.case.name}",
                    column,
                    f"<= {limit:g}",
                    Text(_number(ours), style="green" if reached else "red"),
                    _number(best[0]),
                    best[1],
                )
    return shown


def store(path: Path, results: Sequence[tuple[Table, Sequence[Found]]], about: Mapping[str, Any]) -> None:
    """All medians with their quartiles, as JSON."""
    told = {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "system": platform.system(),
            **about,
        },
        "tables": {table.title: {row.case.name: _stored(row) for row in found} for table, found in results},
    }
    path.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


def print_all(console: Console, results: Sequence[tuple[Table, Sequence[Found]]]) -> None:
    for table, found in results:
        console.print(grid(table, found))
    console.print(summary(results))


def _stored(row: Found) -> dict[str, Any]:
    medians = {column: _rounded(statistics.median(values)) for column, values in row.values.items()}
    spread = {
        column: [_rounded(quartile) for quartile in statistics.quantiles(values, n=4)[::2]]
        for column, values in row.values.items()
        if len(values) > 1
    }
    return {"whose": row.case.role, "median": medians, "quartiles": spread, "goals": dict(row.case.goals)}


def _columns(found: Sequence[Found]) -> list[str]:
    columns = {column: None for row in found for column in row.values}
    return sorted(columns, key=lambda column: _ORDER.index(column) if column in _ORDER else 0)


def _goal(row: Found) -> Text:
    missed = row.misses()
    text = Text()
    for column, limit in row.case.goals.items():
        text.append(f"{column} <= {limit:g} ", style="red" if column in missed else "green")
    return text


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")
