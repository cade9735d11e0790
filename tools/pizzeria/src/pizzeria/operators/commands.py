"""The operators' commands."""

import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console, RenderableType

from pizzeria.errors import CallFailedError, PizzeriaError
from pizzeria.operators import dead_letters, views
from pizzeria.operators.desk import Desk
from pizzeria.telling import told_plainly

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

__all__ = ["add_commands"]

ServiceName = Annotated[str | None, typer.Option("--service", help="One service instead of all.")]
Url = Annotated[str | None, typer.Option("--url", help="A service elsewhere, with --token-env.")]
TokenEnv = Annotated[str | None, typer.Option(help="Variable that holds a manager's token.")]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
Letter = Annotated[str, typer.Argument(metavar="SERVICE/NUMBER")]
Stream = Annotated[str | None, typer.Option(help="Of one stream only.")]


def _app(help_text: str) -> typer.Typer:
    return typer.Typer(help=help_text, no_args_is_help=True, rich_markup_mode=None)


_WIDE = 400
letters_app = _app("Events that a service gave up on: look, correct, handle again, drop.")
tasks_app = _app("Background tasks: list, retry, cancel.")
faults_app = _app("Faults to switch on in the demo, for a while.")


def add_commands(app: typer.Typer) -> None:
    """Add them to the command ``pizzeria``."""
    app.add_typer(letters_app, name="dead-letters")
    app.add_typer(tasks_app, name="tasks")
    app.add_typer(faults_app, name="faults")
    app.command()(lag)
    app.command()(breakers)


def _show(content: Any, table: Callable[[Any], RenderableType], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(content, indent=2))
    else:
        # In a pipe a row is a line.
        Console(width=None if sys.stdout.isatty() else _WIDE).print(table(content))


def _sure(question: str, *, yes: bool) -> None:
    if not yes and not typer.confirm(question):
        raise typer.Exit(1)


@letters_app.command("list")
def list_letters(
    *,
    stream: Stream = None,
    state: Annotated[str | None, typer.Option(help="waiting, redriving, redriven or dropped.")] = "waiting",
    everything: Annotated[bool, typer.Option("--all", help="In every state.")] = False,
    service: ServiceName = None,
    url: Url = None,
    token_env: TokenEnv = None,
    as_json: AsJson = False,
) -> None:
    """Show the letters that wait for a decision."""
    with told_plainly():
        desk = Desk.open(service=service, url=url, token_env=token_env)
        found = list(dead_letters.letters(desk, stream=stream, state=None if everything else state))
        _show(found, dead_letters.letters_table, as_json=as_json)


@letters_app.command()
def show(letter: Letter, *, service: ServiceName = None, url: Url = None, token_env: TokenEnv = None) -> None:
    """Show one letter in full, as JSON."""
    with told_plainly():
        of, path = Desk.open(service=service, url=url, token_env=token_env).letter(letter)
        typer.echo(json.dumps(of.call("GET", path), indent=2))


@letters_app.command()
def edit(
    letter: Letter,
    *,
    changes: Annotated[
        list[str] | None, typer.Option("--set", metavar="/POINTER=VALUE", help="Set a member of the event.")
    ] = None,
    body_file: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="The whole event, as JSON.")
    ] = None,
    service: ServiceName = None,
    url: Url = None,
    token_env: TokenEnv = None,
) -> None:
    """Change what a redrive handles: in $EDITOR, by --set, or from a file."""
    with told_plainly():
        of, path = Desk.open(service=service, url=url, token_env=token_env).letter(letter)
        event = dead_letters.edited_event(of.call("GET", path), changes=changes or [], body_file=body_file)
        if event is None:
            typer.echo("Nothing changed.")
            return
        of.call("PATCH", path, {"event": event})
        typer.echo(f"Edited. `pizzeria dead-letters redrive {letter}` handles it.")


@letters_app.command()
def redrive(
    letter: Annotated[str | None, typer.Argument(metavar="[SERVICE/NUMBER]")] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="All that wait, oldest first.")] = False,
    stream: Stream = None,
    per_second: Annotated[float, typer.Option(min=0.01, max=1000, help="With --all.")] = 50,
    yes: Yes = False,
    service: ServiceName = None,
    url: Url = None,
    token_env: TokenEnv = None,
) -> None:
    """Handle a dead event again, or all of them. Exit code 1 when some died again."""
    with told_plainly():
        desk = Desk.open(service=service, url=url, token_env=token_env)
        if everything == (letter is not None):
            raise PizzeriaError("Say which letter, or --all.")
        if letter is not None:
            of, path = desk.letter(letter)
            of.call("POST", f"{path}/redrive")
            typer.echo(f"{letter} is handled again.")
            return
        _redrive_all(desk, stream=stream, per_second=per_second, yes=yes)


def _redrive_all(desk: Desk, *, stream: str | None, per_second: float, yes: bool) -> None:
    from rich.progress import Progress

    waiting = sum(
        letter["reason"] != "malformed"
        for letter in dead_letters.letters(desk, stream=stream, state="waiting")
    )
    if not waiting:
        typer.echo("Nothing waits.")
        return
    _sure(f"Handle {waiting} dead letters again, {per_second:g} per second?", yes=yes)
    dead_again = 0
    # One after the other: replicas share their letters, so the second of them finds none.
    for name, of in desk:
        with Progress(console=Console(stderr=True), transient=True) as bar:
            line = bar.add_task(name, total=None)
            ended = dead_letters.redrive_all(
                of,
                stream=stream,
                per_second=per_second,
                progress=partial(_move, bar, line),
            )
        if ended["letters"]:
            typer.echo(f"{name}: {ended['redriven']} redriven, {ended['dead_again']} dead again")
        dead_again += ended["dead_again"]
    if dead_again:
        raise typer.Exit(1)


def _move(bar: "Progress", line: "TaskID", done: int, total: int) -> None:
    bar.update(line, completed=done, total=total)


@letters_app.command()
def drop(
    letter: Letter,
    *,
    reason: Annotated[str, typer.Option(help="Why; it is written into the log.")],
    yes: Yes = False,
    service: ServiceName = None,
    url: Url = None,
    token_env: TokenEnv = None,
) -> None:
    """Decide that a dead event has no effect, for ever."""
    with told_plainly():
        of, path = Desk.open(service=service, url=url, token_env=token_env).letter(letter)
        found = of.call("GET", path)
        _sure(f"Drop {found['type']} of {found['subject']}? It is never handled.", yes=yes)
        of.call("POST", f"{path}/drop", {"reason": reason})
        typer.echo(f"{letter} is dropped.")


def lag(
    *,
    service: ServiceName = None,
    url: Url = None,
    token_env: TokenEnv = None,
    as_json: AsJson = False,
) -> None:
    """How far each service is behind with what it tells and hears."""
    _ask("/ops/lag", views.lag_table, service, url, token_env, as_json)


def breakers(
    *,
    service: ServiceName = None,
    url: Url = None,
    token_env: TokenEnv = None,
    as_json: AsJson = False,
) -> None:
    """Circuit breakers: state, since when, and what they counted."""
    _ask("/ops/breakers", views.breakers_table, service, url, token_env, as_json)


def _ask(
    path: str,
    table: Callable[[Any], RenderableType],
    service: str | None,
    url: str | None,
    token_env: str | None,
    as_json: bool,
) -> None:
    with told_plainly():
        answers = Desk.open(service=service, url=url, token_env=token_env).ask_all(path)
        _show(answers, table, as_json=as_json)
        if any("error" in answer for answer in answers.values()):
            raise typer.Exit(1)


@tasks_app.command("list")
def list_tasks(
    *,
    state: Annotated[str, typer.Option(help="running, queued, scheduled, failed or dead.")] = "dead",
    service: ServiceName = "order",
    url: Url = None,
    token_env: TokenEnv = None,
    as_json: AsJson = False,
) -> None:
    """Show the tasks of a service in one state."""
    _ask(f"/ops/tasks/calls?state={state}", views.tasks_table, service, url, token_env, as_json)


@tasks_app.command("retry")
def retry_tasks(
    ids: Annotated[list[str], typer.Argument(metavar="ID...")],
    *,
    service: ServiceName = "order",
    url: Url = None,
    token_env: TokenEnv = None,
) -> None:
    """Run dead tasks again."""
    _change_tasks("retry", ids, service, url, token_env)


@tasks_app.command("cancel")
def cancel_tasks(
    ids: Annotated[list[str], typer.Argument(metavar="ID...")],
    *,
    yes: Yes = False,
    service: ServiceName = "order",
    url: Url = None,
    token_env: TokenEnv = None,
) -> None:
    """Cancel tasks; one that runs is told."""
    _sure(f"Cancel {len(ids)} tasks?", yes=yes)
    _change_tasks("cancel", ids, service, url, token_env)


def _change_tasks(
    verb: str, ids: list[str], service: str | None, url: str | None, token_env: str | None
) -> None:
    with told_plainly():
        for name, of in Desk.open(service=service, url=url, token_env=token_env):
            typer.echo(f"{name}: {json.dumps(of.call('POST', f'/ops/tasks/{verb}', {'ids': ids}))}")


@faults_app.command("list")
def list_faults(
    *,
    service: ServiceName = None,
    url: Url = None,
    token_env: TokenEnv = None,
    as_json: AsJson = False,
) -> None:
    """Show what is switched on."""
    _ask("/ops/faults", views.faults_table, service, url, token_env, as_json)


@faults_app.command("on")
def switch_on(
    kind: Annotated[str, typer.Argument(help="latency, errors, pause or away.")],
    *,
    target: Annotated[str, typer.Option(help="A stream for pause, a breaker for away.")] = "http",
    value: Annotated[float, typer.Option(help="Milliseconds, or the share of requests.")] = 0,
    seconds: Annotated[float, typer.Option(min=0.1, max=600)] = 30,
    service: ServiceName = None,
    url: Url = None,
    token_env: TokenEnv = None,
) -> None:
    """Have a fault in one service, or in all that can have it."""
    wish = {"kind": kind, "target": target, "value": value, "seconds": seconds}
    with told_plainly():
        struck = []
        refusal: CallFailedError | None = None
        for name, of in Desk.open(service=service, url=url, token_env=token_env):
            try:
                of.call("POST", "/ops/faults", wish)
                struck.append(name)
            except CallFailedError as error:
                refusal = error
        if not struck and refusal is not None:
            raise refusal
        typer.echo(f"{kind} {target} for {seconds:g} s in {', '.join(struck)}")


@faults_app.command("off")
def switch_off(*, service: ServiceName = None, url: Url = None, token_env: TokenEnv = None) -> None:
    """End all faults."""
    with told_plainly():
        for _, of in Desk.open(service=service, url=url, token_env=token_env):
            of.call("DELETE", "/ops/faults")
        typer.echo("No fault is on.")
