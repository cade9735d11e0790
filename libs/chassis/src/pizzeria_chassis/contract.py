"""A service's published contract: committed beside its code, written and checked by one command.

``<service>/contract.py`` calls ``main`` with the service's folder and a function that makes its app from demo
settings; ``python -m <service>.contract write`` then writes ``openapi.json`` and ``asyncapi.json`` there.
"""

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from fastapi import FastAPI

__all__ = ["differences", "documents", "main"]


def documents(app: FastAPI) -> dict[str, str]:
    """Return the files of the contract by name, as they should be committed."""
    asyncapi: Callable[[], dict[str, Any]] | None = app.state.asyncapi
    found = {"openapi.json": app.openapi()}
    if asyncapi is not None:
        found["asyncapi.json"] = asyncapi()
    return {name: json.dumps(document, indent=2, sort_keys=True) + "\n" for name, document in found.items()}


def differences(folder: Path, app: FastAPI) -> list[str]:
    """Return the names of files in ``folder`` that are not what ``app`` says now."""
    return [
        name
        for name, text in documents(app).items()
        if not (folder / name).is_file() or (folder / name).read_text(encoding="utf-8") != text
    ]


def main(folder: Path, create: Callable[[], FastAPI], arguments: Sequence[str] | None = None) -> None:
    """Run ``write`` or ``check`` on the files in ``folder``; a failed check ends the process with code 1."""
    command = list(sys.argv[1:] if arguments is None else arguments)
    app = create()
    if command == ["write"]:
        for name, text in documents(app).items():
            (folder / name).write_text(text, encoding="utf-8")
    elif command == ["check"]:
        if stale := differences(folder, app):
            sys.stderr.write(f"{', '.join(stale)} in {folder.name} is out of date; run write.\n")
            raise SystemExit(1)
    else:
        sys.stderr.write("Say 'write' or 'check'.\n")
        raise SystemExit(2)
