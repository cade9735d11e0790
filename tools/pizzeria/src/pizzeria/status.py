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
    total = 0
    for name, endpoint in state.services.items():
        total += _add_row(table, name, endpoint, _health(endpoint))
    host = state.redis.url.rpartition("@")[2]
    total += _add_row(table, "redis", Endpoint(host, state.redis.pid), "")
    if (record := RunRecord.read(home.record_file)) is not None:
        if (simulators := record.processes.get("simulators")) is not None:
            total += _add_row(table, "simulators", Endpoint("", simulators.pid), "")
        total += _add_row(table, "supervisor", Endpoint("", record.supervisor.pid), "")
    table.add_row("together", "", "", _megabytes(total), "", style="bold")
    return table


def _add_row(table: Table, name: str, endpoint: Endpoint, health: str) -> int:
    memory = _memory(endpoint.pid)
    down = endpoint.pid is None and name != "redis"
    table.add_row(
        name, endpoint.url, str(endpoint.pid or "-"), _megabytes(memory), "down" if down else health
    )
    return memory


def _memory(pid: int | None) -> int:
    """Resident bytes; memory that processes share counts in each."""
    try:
        return int(psutil.Process(pid).memory_info().rss) if pid is not None else 0
    except psutil.NoSuchProcess:
        return 0


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.0f} MB" if size else "-"


def _health(endpoint: Endpoint) -> str:
    try:
        report = httpx.get(f"{endpoint.url}/health/ready", timeout=2).json()
        return " ".join(filter(None, (report["status"], describe_checks(report["checks"]))))
    except (httpx.HTTPError, ValueError, KeyError) as error:
        return f"does not answer ({type(error).__name__})"
