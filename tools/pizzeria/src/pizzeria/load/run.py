"""Runs a load in front of a person: live view, report, files."""

import asyncio
import contextlib
from dataclasses import dataclass
from pathlib import Path
from random import Random

from rich.console import Console
from rich.live import Live

from pizzeria.load.generator import LoadGenerator
from pizzeria.load.invariants import dead_letters, verdicts
from pizzeria.load.page import as_json, page
from pizzeria.load.view import live_view, report
from pizzeria.state import State

_VIEW_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """What `pizzeria load` was asked for; see `LoadGenerator`."""

    rate: float
    duration: float
    settle: float
    express: float
    seed: int
    html: Path | None
    json: Path | None


async def run_load(state: State, options: LoadOptions, console: Console) -> bool:
    """Run it and show it. Whether all invariants hold and no request failed or had no answer.

    Raises: CallFailedError when the pizzeria cannot be ordered from.
    """
    load = LoadGenerator(
        state.services["order"].url,
        state.services["menu"].url,
        rate=options.rate,
        duration=options.duration,
        settle=options.settle,
        express=options.express,
        manager=state.tokens["manager"],
        random=Random(options.seed),  # noqa: S311  a plan that can be repeated
    )
    dead_before = await dead_letters(state)
    with Live(console=console, refresh_per_second=8, transient=True) as screen:
        watching = asyncio.create_task(_watch(load, screen))
        try:
            await load.run()
        finally:
            watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watching
    console.print("Checking invariants …", style="dim")
    found = await verdicts(state, load.record, dead_before=dead_before)
    console.print(report(load.record, found))
    title = f"Load of {options.rate:g} orders/s"
    for path, text in (
        (options.html, page(load.record, found, title=title)),
        (options.json, as_json(load.record, found)),
    ):
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
            console.print(f"Written: {path}", soft_wrap=True)
    errors = load.record.outcomes["failed"] + load.record.outcomes["unanswered"]
    return not errors and not any(verdict.word != "holds" for verdict in found)


async def _watch(load: LoadGenerator, screen: Live) -> None:
    while True:
        screen.update(live_view(load))
        await asyncio.sleep(_VIEW_SECONDS)
