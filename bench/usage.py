"""What a running pizzeria has used: Redis commands, SQL transactions, CPU."""

import time
from dataclasses import dataclass

import httpx
import psutil
import redis.asyncio
from pizzeria.supervisor import Supervisor


@dataclass(frozen=True)
class Usage:
    """What was used since the start. Commands inside of scripts count."""

    at: float
    commands: int
    transactions: int
    cpu: dict[str, float]

    @property
    def cpu_seconds(self) -> float:
        """Of all processes of the pizzeria together."""
        return sum(self.cpu.values())


async def usage(supervisor: Supervisor, http: httpx.AsyncClient, store: redis.asyncio.Redis) -> Usage:
    """Now. A metrics page per service and one command."""
    stats = await store.info("commandstats")
    commands = sum(stat["calls"] for name, stat in stats.items() if name != "cmdstat_info")
    cpu = {name: sum(psutil.Process(pid).cpu_times()[:2]) for name, pid in _pids(supervisor).items()}
    return Usage(time.perf_counter(), commands, await _transactions(supervisor, http), cpu)


def memory(supervisor: Supervisor) -> dict[str, float]:
    """Resident megabytes by process; pages that processes share are counted in each."""
    pids = _pids(supervisor)
    return {name: round(psutil.Process(pid).memory_info().rss / 1e6, 1) for name, pid in pids.items()}


def _pids(supervisor: Supervisor) -> dict[str, int]:
    return {name: pid for name, pid in supervisor.pids.items() if pid}


async def _transactions(supervisor: Supervisor, http: httpx.AsyncClient) -> int:
    state = supervisor.state
    name, total = "database_transactions_total", 0.0
    for endpoint in state.services.values():
        page = await http.get(
            f"{endpoint.url}/metrics", headers={"Authorization": f"Bearer {state.tokens['service']}"}
        )
        lines = page.raise_for_status().text.splitlines()
        total += sum(float(line.split()[-1]) for line in lines if line.startswith(name))
    return int(total)
