"""The highest rate of orders that holds: `python -m bench.capacity`.

The whole pizzeria (embedded Redis, four services, one process each) on this machine, and on it, too, the load
and the staff: cooks who hand in at once and drivers who need no time, as many as it takes. Orders come at
random times that no answer moves (a Poisson process), for 60 s, after a few to warm it up. A rate holds when
every order is accepted, no request of anybody is answered with 5xx, p99 of `POST /orders`, counted from when
it was due, stays under 150 ms, and, when all has come to rest, the invariants I1-I9 hold. Climbs from
`--from` by a fifth at a time with runs of 15 s, and shows the highest rate that holds for the full time.
Prints a table, writes bench/results/capacity.json.
"""

import argparse
import asyncio
import json
import os
import platform
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import httpcore
import httpx
import psutil
import redis.asyncio
import uvloop
from pizzeria.home import Home
from pizzeria.load.generator import LoadGenerator
from pizzeria.load.record import Record, Sent, percentiles
from pizzeria.state import State
from pizzeria.supervisor import Supervisor, SupervisorOptions
from rich.console import Console
from rich.table import Table

from bench.usage import Usage, usage
from tests.e2e import harness_invariants, harness_snapshot
from tests.e2e.harness_snapshot import Diary, Grant, Json

RESULTS = Path(__file__).parent / "results" / "capacity.json"
MOST_P99 = 0.150
SHORT, LONG = 15.0, 60.0
STEP = 1.2
REST_SECONDS = 30.0
COOKS = 8
"""Waiting claims per station; each hands in at once."""


@dataclass(frozen=True)
class Outcome:
    """One run. Milliseconds; what an order costs is less what the idle system needs."""

    rate: float
    seconds: float
    sent: int
    outcomes: dict[str, int]
    p50: float
    p99: float
    delivered_p50: float
    server_errors: int
    broken: list[str]
    commands: float
    transactions: float
    cpu: dict[str, float]
    cpu_ms: float
    driver_cpu_ms: float
    busy: float

    @property
    def holds(self) -> bool:
        return (
            self.outcomes == {"accepted": self.sent}
            and self.p99 < MOST_P99 * 1000
            and not self.server_errors
            and not self.broken
        )


class Staff:
    """Cooks, drivers and a storekeeper; and a look at the books afterwards."""

    def __init__(
        self, supervisor: Supervisor, http: httpx.AsyncClient, pool: httpcore.AsyncConnectionPool
    ) -> None:
        state = supervisor.state
        self._urls = {name: endpoint.url for name, endpoint in state.services.items()}
        self._tokens = state.tokens
        self._http = http
        # Of what a request costs with httpx, half: the staff must not need the processor of the pizzeria.
        self._pool = pool
        self.diary = Diary()
        self.errors: Counter[str] = Counter()

    async def open(self) -> None:
        """Have so much of everything that nothing runs low."""
        for station in (await self.read("kitchen", "/stations"))["items"]:
            self.diary.capacity[station["station_id"]] = station["capacity"]
        for stock in (await self.read("kitchen", "/inventory"))["items"]:
            await self._post(f"/inventory/{stock['ingredient']}/restock", "manager", {"quantity": 1_000_000})

    async def read(self, service: str, path: str, role: str = "manager") -> Json:
        answer = await self._http.get(f"{self._urls[service]}{path}", headers=self._as(role))
        found: Json = answer.raise_for_status().json()
        return found

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._cook(station))
                for station, capacity in self.diary.capacity.items()
                for _ in range(min(capacity, COOKS))
            ]
            tasks.append(group.create_task(self._drive()))
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()

    async def _cook(self, station: str) -> None:
        while True:
            answer = await self._post(f"/stations/{station}/claim", "cook", {"wait_seconds": 10})
            if answer.status != httpx.codes.OK:
                continue
            ticket = json.loads(answer.content)
            grant = Grant(station, ticket["ticket_id"], ticket["order_id"], ticket["fencing_token"])
            self.diary.granted(grant, datetime.fromisoformat(ticket["lease_until"]), datetime.now(UTC))
            self.diary.lays_down(station, grant.ticket_id)
            done = await self._post(
                f"/tickets/{grant.ticket_id}/complete", "cook", {"fencing_token": grant.token}
            )
            if done.status == httpx.codes.OK:
                self.diary.finished.append((grant.ticket_id, grant.token))

    async def _drive(self) -> None:
        """Whatever is ready, ten times a second: those who order would have to wait for larger bursts."""
        while True:
            begun = time.monotonic()
            waiting = (await self.read("kitchen", "/deliveries?limit=500", "driver"))["items"]
            async with asyncio.TaskGroup() as group:
                for delivery in waiting:
                    group.create_task(self._deliver(delivery["order_id"]))
            await asyncio.sleep(max(0.0, begun + 0.1 - time.monotonic()))

    async def _deliver(self, order_id: str) -> None:
        for step in ("start", "complete"):
            await self._post(f"/deliveries/{order_id}/{step}", "driver", {})

    async def _post(self, path: str, role: str, body: Mapping[str, Any]) -> httpcore.Response:
        answer = await self._pool.request(
            "POST",
            f"{self._urls['kitchen']}{path}",
            headers=[*self._as(role).items(), ("Content-Type", "application/json")],
            content=json.dumps(body).encode(),
            extensions={"timeout": {"connect": 5.0, "read": 30.0, "write": 5.0, "pool": 30.0}},
        )
        if answer.status >= httpx.codes.INTERNAL_SERVER_ERROR:
            self.errors[f"{path.split('/')[1]}: {answer.status}"] += 1
        return answer

    def _as(self, role: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._tokens[role]}"}


async def one_run(rate: float, seconds: float, seed: int) -> Outcome:
    """A new pizzeria, and this rate for so long."""
    with tempfile.TemporaryDirectory() as folder:
        options = SupervisorOptions(home=Home(Path(folder)), any_port=True, simulation=None)
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=500)
        async with (
            Supervisor(options) as supervisor,
            httpx.AsyncClient(timeout=30, limits=limits) as http,
            httpcore.AsyncConnectionPool(max_connections=500, max_keepalive_connections=500) as pool,
            redis.asyncio.Redis.from_url(supervisor.state.redis.url) as store,
        ):
            state = supervisor.state
            staff = Staff(supervisor, http, pool)
            await staff.open()
            warm, load = _load(state, 10, 4, seed), _load(state, rate, seconds, seed)
            async with staff.at_work():
                await warm.run()
                rest = await usage(supervisor, http, store)
                await asyncio.sleep(3)
                idle = await usage(supervisor, http, store)
                own, machine = psutil.Process().cpu_times(), psutil.cpu_times()
                await load.run()
                after = await usage(supervisor, http, store)
                used = psutil.Process().cpu_times()
                busy = _share_busy(machine, psutil.cpu_times())
            broken = await _broken(staff, store, [*warm.record.accepted, *load.record.accepted])
            driver = used.user + used.system - own.user - own.system
            return _outcome(load.record, staff, broken, (rest, idle, after), driver, busy)


def _share_busy(before: Any, after: Any) -> float:
    spent = [end - start for start, end in zip(before, after, strict=True)]
    idle = after.idle - before.idle + getattr(after, "iowait", 0) - getattr(before, "iowait", 0)
    return float(1 - idle / sum(spent))


def _load(state: State, rate: float, seconds: float, seed: int) -> LoadGenerator:
    return LoadGenerator(
        state.services["order"].url,
        state.services["menu"].url,
        rate=rate,
        duration=seconds,
        settle=REST_SECONDS,
        express=0.1,
        manager=state.tokens["manager"],
        random=Random(seed),
    )


async def _broken(staff: Staff, store: redis.asyncio.Redis, accepted: Sequence[Sent]) -> list[str]:
    """What breaks an invariant when all is at rest, or still does after a while."""
    staff.diary.accepted += [one.order_id for one in accepted if one.order_id]
    deadline = time.monotonic() + REST_SECONDS
    while True:
        found = harness_invariants.broken(await harness_snapshot.take(staff, store, staff.diary))
        if not found or time.monotonic() > deadline:
            return found[:20]
        await asyncio.sleep(1)


def _outcome(
    record: Record,
    staff: Staff,
    broken: list[str],
    seen: tuple[Usage, Usage, Usage],
    driver: float,
    busy: float,
) -> Outcome:
    rest, idle, after = seen
    orders = max(1, len(record.accepted))
    share = (after.at - idle.at) / (idle.at - rest.at)

    def added(first: float, second: float, last: float) -> float:
        return ((last - second) - (second - first) * share) / orders

    cpu = {
        name: round(1000 * added(rest.cpu[name], idle.cpu[name], after.cpu[name]), 2) for name in after.cpu
    }
    latency = percentiles(record.accept_seconds()) or {50: float("inf"), 99: float("inf")}
    delivered = percentiles(record.delivery_seconds()) or {50: float("inf")}
    return Outcome(
        rate=record.rate,
        seconds=record.duration,
        sent=len(record.sent),
        outcomes=dict(record.outcomes),
        p50=round(1000 * latency[50], 1),
        p99=round(1000 * latency[99], 1),
        delivered_p50=round(1000 * delivered[50], 1),
        server_errors=record.outcomes["failed"] + record.outcomes["unavailable"] + sum(staff.errors.values()),
        broken=broken,
        commands=round(added(rest.commands, idle.commands, after.commands), 1),
        transactions=round(added(rest.transactions, idle.transactions, after.transactions), 1),
        cpu=cpu,
        cpu_ms=round(sum(cpu.values()), 1),
        driver_cpu_ms=round(1000 * driver / orders, 1),
        busy=round(busy, 2),
    )


async def climb(first: float, console: Console) -> list[Outcome]:
    """All runs, the last of them being the highest rate that held for the full time, if any did."""
    runs: list[Outcome] = []

    async def ran(rate: float, seconds: float) -> bool:
        runs.append(await one_run(rate, seconds, seed=len(runs)))
        console.print(_line(runs[-1]), soft_wrap=True)
        return runs[-1].holds

    rate = first
    # A short run that does not hold is tried once more: the machine may have had something else to do.
    while await ran(rate, SHORT) or await ran(rate, SHORT):
        rate = round(rate * STEP, 1)
    while (rate := round(rate / STEP**0.5, 1)) > 1:
        if await ran(rate, LONG):
            break
    return runs


def _line(run: Outcome) -> str:
    word = "[green]holds[/green]" if run.holds else "[red]does not hold[/red]"
    why = "".join(f"; {sentence}" for sentence in run.broken[:3])
    return (
        f"{run.rate:g}/s for {run.seconds:g} s {word}: p50 {run.p50:.0f} ms, p99 {run.p99:.0f} ms, "
        f"delivered p50 {run.delivered_p50:.0f} ms, {run.outcomes}, {run.server_errors} errors, "
        f"CPU {run.cpu_ms:.1f} + {run.driver_cpu_ms:.1f} ms per order, machine {run.busy:.0%} busy{why}"
    )


def _table(run: Outcome) -> Table:
    table = Table("", "", title=f"{run.rate:g} orders/s for {run.seconds:g} s", show_header=False)
    table.add_row("POST /orders, p50 / p99", f"{run.p50:.0f} / {run.p99:.0f} ms")
    table.add_row("delivered after, p50", f"{run.delivered_p50:.0f} ms")
    table.add_row("Redis commands per order", f"{run.commands:.0f}")
    table.add_row("SQL transactions per order", f"{run.transactions:.1f}")
    table.add_row("CPU per order, pizzeria", f"{run.cpu_ms:.1f} ms")
    for name, spent in sorted(run.cpu.items(), key=lambda item: -item[1]):
        table.add_row(f"  {name}", f"{spent:.1f} ms")
    table.add_row("CPU per order, load and staff", f"{run.driver_cpu_ms:.1f} ms")
    table.add_row("machine busy", f"{run.busy:.0%}")
    return table


def main() -> int:
    assert __doc__
    parser = argparse.ArgumentParser(prog="python -m bench.capacity", description=__doc__.split("\n")[0])
    parser.add_argument(
        "--from", dest="first", type=float, default=20, help="orders per second to begin with"
    )
    parser.add_argument("--rate", type=float, help="this rate alone")
    parser.add_argument("--seconds", type=float, default=LONG, help="with --rate: for how long")
    chosen = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 160)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        if chosen.rate:
            run = runner.run(one_run(chosen.rate, chosen.seconds, 0))
            console.print(_line(run), _table(run))
            return 0 if run.holds else 1
        runs = runner.run(climb(chosen.first, console))
    if not runs[-1].holds:
        console.print("No rate held.")
        return 1
    console.print(_table(runs[-1]))
    machine = {"cores": os.cpu_count(), "python": platform.python_version(), "system": platform.system()}
    RESULTS.write_text(
        json.dumps({"machine": machine, "runs": [asdict(run) for run in runs]}, indent=2) + "\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
