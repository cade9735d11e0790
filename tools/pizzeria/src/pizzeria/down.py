"""`pizzeria down`: ends what runs in this home folder, or what a killed run left behind."""

import os
import signal
import time

from pizzeria.errors import AlreadyRunningError, PizzeriaError
from pizzeria.home import Home
from pizzeria.supervisor.run_lock import RunLock, RunRecord, end_leftovers, is_running

_PATIENCE_SECONDS = 40.0


def down(home: Home) -> str:
    """Return when nothing of it runs any more: what was done, in a sentence. Raises: PizzeriaError."""
    if not home.path.exists():
        return "Nothing is running."
    ended = _end_supervisor(home)
    lock = RunLock(home)
    try:
        lock.acquire()
    except AlreadyRunningError as error:
        raise PizzeriaError(f"It did not end within {_PATIENCE_SECONDS:.0f} seconds. {error}") from error
    try:
        left = end_leftovers(home)
    finally:
        lock.release()
    if left:
        return f"Ended what was left of a killed run: {', '.join(left)}."
    return "Closed. Nothing is left running." if ended else "Nothing is running."


def _end_supervisor(home: Home) -> bool:
    """Ask it to end, wait; whether there was one."""
    if not is_running(home):
        return False
    record = RunRecord.read(home.record_file)
    process = record.supervisor.process() if record else None
    if process is not None:
        os.kill(process.pid, signal.SIGTERM)
        os.kill(process.pid, signal.SIGCONT)
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while is_running(home) and time.monotonic() < deadline:
        time.sleep(0.05)
    if process is not None and is_running(home):
        process.kill()
        process.wait(5)
    return True
