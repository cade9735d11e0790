"""Dead letters on the command line."""

import json
import os
import shlex
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from rich.console import RenderableType
from rich.table import Table

from pizzeria.errors import PizzeriaError
from pizzeria.operators.desk import Desk
from pizzeria.running import Service

__all__ = ["edited_event", "letters", "letters_table", "redrive_all", "with_changes"]

_LOOK_SECONDS = 0.3
_PAGE = 200


def letters(desk: Desk, *, stream: str | None, state: str | None) -> Iterator[dict[str, Any]]:
    """All letters of all services, each with its ``ref``. Raises: CallFailedError."""
    for name, service in desk:
        after = "0"
        while True:
            wanted = {"after": after, "limit": _PAGE, "stream": stream, "state": state}
            query = urlencode({key: value for key, value in wanted.items() if value is not None})
            page = service.call("GET", f"/ops/dead-letters?{query}")
            yield from ({"ref": f"{name}/{letter['id']}", **letter} for letter in page["items"])
            if page["next"] is None:
                break
            after = page["next"]


def letters_table(found: Sequence[Mapping[str, Any]]) -> RenderableType:
    table = Table(box=None, pad_edge=False)
    for heading in ("letter", "state", "died", "stream", "type", "subject", "reason", "error"):
        table.add_column(heading, overflow="fold")
    for letter in found:
        table.add_row(
            letter["ref"],
            letter["state"] + (" (edited)" if letter["edited"] else ""),
            letter["died_at"][:19],
            letter["stream"],
            (letter["type"] or "-").removeprefix("pizzeria."),
            letter["subject"] or "-",
            letter["reason"],
            letter["error"],
        )
    return table


def edited_event(
    letter: Mapping[str, Any], *, changes: Sequence[str], body_file: Path | None
) -> dict[str, Any] | None:
    """The event as the operator wants it: from ``--set``, a file or $EDITOR; None when nothing changed.

    Raises: PizzeriaError.
    """
    event = letter["event"]
    if event is None:
        raise PizzeriaError("It holds no event that could be edited.")
    if body_file is not None:
        text = body_file.read_text(encoding="utf-8")
    elif changes:
        text = json.dumps(with_changes(event, changes))
    else:
        text = _in_editor(json.dumps(event, indent=2, ensure_ascii=False) + "\n")
    try:
        wanted = json.loads(text)
    except ValueError as error:
        raise PizzeriaError(f"That is no JSON: {error}") from error
    return None if wanted == event else wanted


def with_changes(event: Mapping[str, Any], changes: Sequence[str]) -> dict[str, Any]:
    """``/data/quantity=2`` sets a member; a value that is no JSON is taken as text. Raises: PizzeriaError."""
    wanted: dict[str, Any] = json.loads(json.dumps(event))
    for change in changes:
        pointer, equals, value = change.partition("=")
        if not equals or not pointer.startswith("/"):
            raise PizzeriaError(f"{change!r}: write a pointer and a value, as in /data/quantity=2.")
        *way, last = (part.replace("~1", "/").replace("~0", "~") for part in pointer[1:].split("/"))
        place: Any = wanted
        try:
            for part in way:
                place = place[int(part)] if isinstance(place, list) else place[part]
            if isinstance(place, list):
                place[int(last)] = _value(value)
            else:
                place[last] = _value(value)
        except (KeyError, IndexError, ValueError, TypeError):
            raise PizzeriaError(f"There is nothing at {pointer} in the event.") from None
    return wanted


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _in_editor(text: str) -> str:
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    if not editor:
        raise PizzeriaError("EDITOR is not set; set it, or use --set or --body-file.")
    with tempfile.TemporaryDirectory(prefix="pizzeria-") as folder:
        file = Path(folder) / "event.json"
        file.write_text(text, encoding="utf-8")
        if subprocess.run([*shlex.split(editor), str(file)], check=False).returncode != 0:
            raise PizzeriaError("The editor ended with an error; nothing was changed.")
        return file.read_text(encoding="utf-8")


def redrive_all(
    service: Service, *, stream: str | None, per_second: float, progress: Callable[[int, int], None]
) -> dict[str, int]:
    """Redrive all waiting letters and wait for their ends: how many were redriven, and how many died again.

    Ctrl-C ends the waiting alone; the service goes on. Raises: CallFailedError.
    """
    before = _states(service, stream)
    wish = service.call("POST", "/ops/dead-letters/redrive", {"stream": stream, "per_second": per_second})
    wanted = {number for number, state in before.items() if state == "waiting"}
    progress(0, wish["letters"])
    while True:
        now = _states(service, stream)
        open_ones = sum(now.get(number) == "redriving" for number in wanted)
        progress(wish["letters"] - open_ones, wish["letters"])
        if not open_ones:
            redriven = sum(now.get(number) == "redriven" for number in wanted)
            return {
                "letters": wish["letters"],
                "redriven": redriven,
                "dead_again": wish["letters"] - redriven,
            }
        time.sleep(_LOOK_SECONDS)


def _states(service: Service, stream: str | None) -> dict[int, str]:
    desk = Desk({"it": service})
    return {
        letter["id"]: letter["state"]
        for letter in letters(desk, stream=stream, state=None)
        if letter["reason"] != "malformed"
    }
