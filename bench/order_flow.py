"""How fast and how dear an order is: `python -m bench.order_flow`.

Starts the whole pizzeria (embedded Redis, SQLite, four services) without simulated people, and measures
from the start of `POST /orders` until a station that was waiting holds the ticket: one order at a time,
and at 20 orders/s. Then, over the second run and less what the idle system needs: Redis commands and
CPU milliseconds per order; and the resident memory of all processes. Prints a table, writes
bench/results/order_flow.json.
"""

import argparse
import asyncio
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles
from typing import Any

import httpx
import redis.asyncio
from pizzeria.home import Home
from pizzeria.supervisor import Supervisor, SupervisorOptions
from rich.console import Console
from rich.table import Table

from bench.usage import Usage, memory, usage

RESULTS = Path(__file__).parent / "results" / "order_flow.json"
AIM = {"p50": 25.0, "p99": 100.0}  # milliseconds, with 20 orders/s on 2 cores
BODY = {
    "items": [{"pizza_id": "margherita", "size": "medium", "quantity": 1}],
    "payment": {"token": "tok_approved"},
}


@dataclass
class Run:
    """Times in milliseconds from the start of `POST /orders`, by order."""

    accepted: list[float] = field(default_factory=list)
    claimable: list[float] = field(default_factory=list)


class Shop:
    """The running pizzeria, its stations and one guest."""

    def __init__(self, supervisor: Supervisor, http: httpx.AsyncClient, store: redis.asyncio.Redis) -> None:
        state = supervisor.state
        self._supervisor = supervisor
        self._urls = {name: endpoint.url for name, endpoint in state.services.items()}
        self._staff = {role: {"Authorization": f"Bearer {token}"} for role, token in state.tokens.items()}
        self._http = http
        self._store = store
        self._guest: dict[str, str] = {}
        self._placed: dict[str, float] = {}
        self._claimed: dict[str, float] = {}
        self.stations: dict[str, int] = {}

    async def open(self) -> None:
        session = await self._http.post(f"{self._urls['order']}/sessions", json={"name": "Bench"})
        self._guest = {"Authorization": f"Bearer {session.raise_for_status().json()['token']}"}
        answer = await self._http.get(f"{self._urls['kitchen']}/stations", headers=self._staff["cook"])
        self.stations = {s["station_id"]: s["capacity"] for s in answer.raise_for_status().json()["items"]}

    async def place(self, run: Run) -> str:
        begun = time.perf_counter()
        answer = await self._http.post(f"{self._urls['order']}/orders", json=BODY, headers=self._guest)
        run.accepted.append((time.perf_counter() - begun) * 1000)
        order: str = answer.raise_for_status().json()["id"]
        self._placed[order] = begun
        return order

    async def cook(self, station: str) -> None:
        """Wait for a ticket, note when it came, hand it in at once; for ever."""
        url = self._urls["kitchen"]
        while True:
            answer = await self._http.post(
                f"{url}/stations/{station}/claim", json={"wait_seconds": 10}, headers=self._staff["cook"]
            )
            if answer.raise_for_status().status_code == 204:
                continue
            ticket = answer.json()
            self._claimed[ticket["order_id"]] = time.perf_counter()
            done = await self._http.post(
                f"{url}/tickets/{ticket['ticket_id']}/complete",
                json={"fencing_token": ticket["fencing_token"]},
                headers=self._staff["cook"],
            )
            done.raise_for_status()

    async def claimed(self, orders: Sequence[str], run: Run) -> None:
        """Wait until a station has had each of the orders."""
        async with asyncio.timeout(60):
            while not all(order in self._claimed for order in orders):  # noqa: ASYNC110  the last few only
                await asyncio.sleep(0.001)
        run.claimable += [(self._claimed[order] - self._placed[order]) * 1000 for order in orders]

    async def usage(self) -> Usage:
        return await usage(self._supervisor, self._http, self._store)


async def one_at_a_time(shop: Shop, count: int) -> Run:
    run = Run()
    for _ in range(count):
        order = await shop.place(run)
        await shop.claimed([order], run)
        await asyncio.sleep(0.02)  # so that the hand-in of the last one is over
    return run


async def at_rate(shop: Shop, rate: float, seconds: float) -> Run:
    """Open loop: an order that is slow does not hold back the next."""
    run, begun = Run(), time.perf_counter()
    async with asyncio.TaskGroup() as group:
        tasks = []
        for number in range(int(rate * seconds)):
            await asyncio.sleep(max(0.0, begun + number / rate - time.perf_counter()))
            tasks.append(group.create_task(shop.place(run)))
    await shop.claimed([task.result() for task in tasks], run)
    return run


def summary(times: Sequence[float]) -> dict[str, float]:
    cuts = quantiles(times, n=100, method="inclusive")
    return {"p50": round(cuts[49], 1), "p99": round(cuts[98], 1), "max": round(max(times), 1)}


def per_order(before: Usage, after: Usage, idle: tuple[Usage, Usage], orders: int) -> dict[str, float]:
    """What an order adds to what the system needs anyway."""
    share = (after.at - before.at) / (idle[1].at - idle[0].at)

    def added(name: str) -> float:
        first, last, rest, moved = (getattr(seen, name) for seen in (before, after, *idle))
        return float(round(((last - first) - (moved - rest) * share) / orders, 4))

    return {
        "redis_commands": added("commands"),
        "sql_transactions": added("transactions"),
        "cpu_ms": round(added("cpu_seconds") * 1000, 1),
    }


def per_second(idle: tuple[Usage, Usage]) -> dict[str, float]:
    seconds = idle[1].at - idle[0].at
    moved = idle[1].transactions - idle[0].transactions
    return {
        "redis_commands": round((idle[1].commands - idle[0].commands) / seconds, 1),
        "sql_transactions": round(moved / seconds, 1),
        "cpu_ms": round((idle[1].cpu_seconds - idle[0].cpu_seconds) / seconds * 1000, 1),
    }


async def measure(count: int, rate: float, seconds: float) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        options = SupervisorOptions(
            home=Home(Path(folder)),
            any_port=True,
            simulation=None,
            environment={"order": {"ORDER_RATE_LIMIT": "100000"}},  # one guest places all of them
        )
        begun = time.perf_counter()
        async with Supervisor(options) as supervisor:
            ready = time.perf_counter() - begun
            limits = httpx.Limits(max_connections=None)
            async with (
                httpx.AsyncClient(timeout=30, limits=limits) as http,
                redis.asyncio.Redis.from_url(supervisor.state.redis.url) as store,
            ):
                shop = Shop(supervisor, http, store)
                await shop.open()
                async with cooks(shop):
                    await one_at_a_time(shop, 20)  # warm
                    rest = await shop.usage()
                    await asyncio.sleep(5)
                    idle = (rest, await shop.usage())
                    alone = await one_at_a_time(shop, count)
                    before = await shop.usage()
                    loaded = await at_rate(shop, rate, seconds)
                    await asyncio.sleep(1)  # the orders' last events reach analytics
                    after = await shop.usage()
                held = memory(supervisor)
    return {
        "machine": {
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "system": platform.system(),
        },
        "ready_seconds": round(ready, 2),
        "one_at_a_time": {
            "orders": count,
            "accepted_ms": summary(alone.accepted),
            "claimable_ms": summary(alone.claimable),
        },
        "at_rate": {
            "orders_per_second": rate,
            "orders": len(loaded.claimable),
            "accepted_ms": summary(loaded.accepted),
            "claimable_ms": summary(loaded.claimable),
        },
        "idle_per_second": per_second(idle),
        "per_order": per_order(before, after, idle, len(loaded.claimable)),
        "cpu_ms_per_order": {
            name: round((after.cpu[name] - used) * 1000 / len(loaded.claimable), 1)
            for name, used in before.cpu.items()
        },
        "memory_mb": {**held, "all": round(sum(held.values()), 1)},
    }


@asynccontextmanager
async def cooks(shop: Shop) -> Any:
    """As many waiting claims as the stations have places."""
    async with asyncio.TaskGroup() as group:
        places = [station for station, capacity in shop.stations.items() for _ in range(capacity)]
        tasks = [group.create_task(shop.cook(station)) for station in places]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()


def print_table(found: dict[str, Any], console: Console) -> None:
    times = Table("POST /orders until", "p50 ms", "p99 ms", "max ms", title="Time")
    for name, key in (
        ("one at a time", "one_at_a_time"),
        (f"{found['at_rate']['orders_per_second']:g}/s", "at_rate"),
    ):
        for what, label in (("accepted_ms", "201"), ("claimable_ms", "a station holds the ticket")):
            cuts = found[key][what]
            times.add_row(f"{label}, {name}", *(f"{cuts[cut]:.1f}" for cut in ("p50", "p99", "max")))
    times.add_row("aim", f"{AIM['p50']:.0f}", f"{AIM['p99']:.0f}", "")
    cost = Table("", "Redis commands", "SQL transactions", "CPU ms", title="Cost, whole system")
    for label, key in (("per order", "per_order"), ("idle, per second", "idle_per_second")):
        cost.add_row(label, *(f"{value:g}" for value in found[key].values()))
    processes = Table("process", "CPU ms per order", "MB resident", title="Processes, idle work included")
    for name, megabytes in found["memory_mb"].items():
        spent = found["cpu_ms_per_order"].get(name)
        processes.add_row(name, "" if spent is None else f"{spent:.1f}", f"{megabytes:.0f}")
    for table in (times, cost, processes):
        console.print(table)


def main() -> int:
    parser = argparse.ArgumentParser(description="How fast and how dear an order is.")
    parser.add_argument("--orders", type=int, default=200, help="orders one at a time")
    parser.add_argument("--rate", type=float, default=20, help="orders per second of the second run")
    parser.add_argument("--seconds", type=float, default=20, help="length of the second run")
    chosen = parser.parse_args()
    found = asyncio.run(measure(chosen.orders, chosen.rate, chosen.seconds))
    print_table(found, Console())
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(found, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
