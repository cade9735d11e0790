"""The command `pizzeria`."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer

from pizzeria.home import Home
from pizzeria.operators.commands import add_commands
from pizzeria.telling import told_plainly

app = typer.Typer(
    help="Mario's Pizzeria on this machine. Files: .pizzeria in the repository's root, or PIZZERIA_HOME.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
add_commands(app)


@app.command()
def up(
    *,
    fresh: Annotated[bool, typer.Option("--fresh", help="Delete all data first.")] = False,
    quiet: Annotated[
        bool,
        typer.Option("--quiet", help="No simulated customers, no live view; cooks and drivers work."),
    ] = False,
    restart: Annotated[
        bool, typer.Option("--restart/--no-restart", help="Start again what dies, or leave it dead.")
    ] = True,
    rate: Annotated[
        float, typer.Option(min=0, max=100, help="Orders per second of the simulated customers.")
    ] = 0.5,
    database_url: Annotated[
        str | None,
        typer.Option(help="PostgreSQL in place of SQLite files, with {service} where the names differ."),
    ] = None,
) -> None:
    """Start everything, show what happens, keep it running; Ctrl-C ends it."""
    from pizzeria.supervisor import Simulation, SupervisorOptions
    from pizzeria.up import Run, database_urls

    with told_plainly():
        options = SupervisorOptions(
            home=Home.find(),
            fresh=fresh,
            database_urls=database_urls(database_url),
            restart=restart,
            simulation=Simulation(0 if quiet else rate),
        )

        async def run() -> None:
            await Run(options, quiet=quiet).until_told()

        asyncio.run(run())


@app.command()
def down() -> None:
    """End what runs; clear up after a run that was killed."""
    from pizzeria.down import down as end

    with told_plainly():
        typer.echo(end(Home.find()))


@app.command()
def status() -> None:
    """Addresses, process ids, memory and readiness of what runs."""
    from rich.console import Console

    from pizzeria.running import running_state
    from pizzeria.status import status_table

    with told_plainly():
        home = Home.find()
        Console(soft_wrap=not sys.stdout.isatty()).print(status_table(running_state(home), home))


@app.command()
def token(
    role: Annotated[str, typer.Argument(help="cook, driver, manager or service.")],
) -> None:
    """Print the token of a role, to be pasted into a page."""
    from pizzeria.errors import PizzeriaError
    from pizzeria.running import running_state

    with told_plainly():
        tokens = running_state(Home.find()).tokens
        if role not in tokens:
            raise PizzeriaError(f"There is no role {role!r}: {', '.join(sorted(tokens))}.")
        typer.echo(tokens[role])


@app.command()
def menu() -> None:
    """What one can order, with prices."""
    from rich.console import Console

    from pizzeria.menu import menu_table
    from pizzeria.running import running_state

    with told_plainly():
        Console().print(menu_table(running_state(Home.find()).services["menu"].url))


@app.command()
def order(
    pizzas: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PIZZA[:SIZE[:QUANTITY]]]...", help="By default one medium margherita."),
    ] = None,
    *,
    express: Annotated[bool, typer.Option("--express", help="Ahead of the standard orders.")] = False,
    card: Annotated[str, typer.Option(help="tok_approved, tok_declined or tok_timeout.")] = "tok_approved",
) -> None:
    """Place an order as a new guest and follow it. Exit code 0 when it was delivered, else 1."""
    from pizzeria.order import parse_items, place_and_follow
    from pizzeria.running import running_state

    with told_plainly():
        ended = place_and_follow(
            running_state(Home.find()).services["order"].url,
            parse_items(pizzas or ["margherita"]),
            express=express,
            card=card,
            say=typer.echo,
        )
        if ended != "delivered":
            raise typer.Exit(1)


@app.command()
def load(
    *,
    rate: Annotated[float, typer.Option(min=0.1, max=500, help="Orders per second, on average.")] = 5,
    duration: Annotated[float, typer.Option(min=1, max=3600, help="Seconds for which orders are sent.")] = 30,
    settle: Annotated[
        float, typer.Option(min=0, max=3600, help="Seconds that accepted orders then have to end.")
    ] = 60,
    express: Annotated[float, typer.Option(min=0, max=1, help="Share of express orders.")] = 0.2,
    seed: Annotated[int, typer.Option(help="The same seed: the same plan.")] = 1,
    html: Annotated[Path | None, typer.Option(help="Where the report goes, with charts.")] = None,
    json: Annotated[Path | None, typer.Option(help="Where the figures go.")] = None,
) -> None:
    """Send orders that wait for no answer, follow them, report latencies, outcomes and invariants.

    Exit code 1 when an invariant is broken or a request had no answer or an error for one; 429 and 503 are
    answers.
    """
    from rich.console import Console

    from pizzeria.load.run import LoadOptions, run_load
    from pizzeria.running import running_state

    with told_plainly():
        options = LoadOptions(rate, duration, settle, express, seed, html, json)
        if not asyncio.run(run_load(running_state(Home.find()), options, Console())):
            raise typer.Exit(1)
