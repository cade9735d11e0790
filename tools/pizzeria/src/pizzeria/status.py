"""`pizzeria status`: what runs, how it is, what it weighs."""

import httpx
import psutil
from rich.console import RenderableType
from rich.table import Table

from pizzeria.home import Home
from pizzeria.live.watch import describe_checks
from pizzeria.state import Endpoint, State
from pizzeria.supervisor.run_lock import RunRecord


def status_table(state: State, home: Home) -> RenderableType:
    """One row per process; readiness is asked now, with 2 seconds of patience each."""
    table = Table(box=None, pad_edge=False)
    for heading in ("process", "address", "pid", "memory", "state"):
        table.add_column(heading, overflow="fold")
    rows = {
        name: (endpoint.url, endpoint.pid, _health(endpoint)) for name, endpoint in state.services.items()
    }
    redis = state.redis.url.rpartition("@")[2]
    rows["redis"] = (redis, state.redis.pid, "")
    if (record := RunRecord.read(home.record_file)) is not None:
        rows["supervisor"] = ("", record.supervisor.pid, "")
        others = {name: mark.pid for name, mark in record.processes.items() if name not in rows}
        rows.update({name: ("", pid, "") for name, pid in others.items()})
    total = 0
    for name, (address, pid, health) in rows.items():
        memory = _memory(pid)
        total += memory
        table.add_row(name, address, str(pid or "-"), _megabytes(memory), health)
    table.add_row("together", "", "", _megabytes(total), "", style="bold")
    return table


def _memory(pid: int | None) -> int:
    """Bytes in memory; on Linux a page that n processes share counts 1/n in each."""
    if pid is None:
        return 0
    try:
        memory = psutil.Process(pid).memory_full_info()
    except psutil.Error:
        return 0
    return int(getattr(memory, "pss", memory.rss))


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.0f} MB" if size else "-"


def _health(endpoint: Endpoint) -> str:
    if endpoint.pid is None:
        return "down"
    try:
        report = httpx.get(f"{endpoint.url}/health/ready", timeout=2).json()
        return " ".join(filter(None, (report["status"], describe_checks(report["checks"]))))
    except (httpx.HTTPError, ValueError, KeyError) as error:
        return f"does not answer ({type(error).__name__})"
