"""Logs that do not grow without end."""

import shutil
from pathlib import Path

LIMIT_BYTES = 5_000_000


def cut(log: Path, *, limit: int = LIMIT_BYTES) -> None:
    """Move the content of a log over `limit` bytes to `<name>.log.1`, in place of what was there.

    The file itself is kept and emptied, because a process has it open, in append mode. A line that is
    written between the two steps is lost.
    """
    if log.exists() and log.stat().st_size > limit:
        shutil.copyfile(log, log.with_name(f"{log.name}.1"))
        with log.open("r+b") as file:
            file.truncate()


def last_lines(log: Path, count: int = 15) -> str:
    """The end of a log, for an error message."""
    if not log.exists():
        return "(no log)"
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 16_384))
        lines = file.read().decode(errors="replace").splitlines()
    return "\n".join(lines[-count:]) or "(empty log)"
