"""Measure queue, tasks and streams against their peers: `make bench-queues`, or in its environment

python -m bench.queues [drain enqueue batches pickup delayed streams killed] [--rounds 5] [--kill-peers]

Each library runs in a process of its own, one worker with 50 jobs at once; all of them in turn on one
server, in every round in another order.
"""

import argparse
import asyncio
import random
import sys
import tempfile
from functools import partial
from pathlib import Path

import redis
from rediscore.embedded import EmbeddedServer, find_server
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

from bench.queues import killed
from bench.queues.players import PEERS, Players
from bench.queues.tables import Setting, tables
from bench.rediscore.harness import Found, Table, run
from bench.rediscore.report import print_all, store

TOPICS = ("drain", "enqueue", "batches", "pickup", "delayed", "streams", "killed")
RESULTS = Path(__file__).parents[1] / "results" / "queues.json"


async def measure(url: str, options: argparse.Namespace, console: Console) -> list[tuple[Table, list[Found]]]:
    """Every table that is named, one after the other."""
    shuffle, results = random.Random(options.seed), []
    wanted = options.topics or TOPICS
    setting = Setting(Players(url), redis.Redis.from_url(url))
    columns = (*Progress.get_default_columns()[:-1], MofNCompleteColumn(), TimeRemainingColumn())
    try:
        with Progress(*columns, console=console) as bar:
            for name, table in tables(setting).items():
                if name in wanted:
                    rounds = max(2, round(options.rounds * table.share))
                    task = bar.add_task(table.title, total=(rounds + 1) * len(table.cases))
                    results.append((table, await run(table, rounds, shuffle, partial(bar.advance, task))))
        await setting.players.aclose()
        if "killed" in wanted:
            console.print("Killing workers …")
            setting.control.flushall()
            results.append(await killed.measure(url, peers=options.kill_peers))
    finally:
        await setting.players.aclose()
        setting.control.close()
        for name, times in setting.players.hung.items():
            console.print(
                f"[yellow]{name} did not answer in time, {times} ×: those rounds are not counted.[/yellow]"
            )
    return results


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.queues", description=__doc__)
    parser.add_argument("topics", nargs="*", help=f"of {', '.join(TOPICS)}; all when none is named")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--kill-peers", action="store_true", help="kill the peers' workers too: 8 minutes more"
    )
    options = parser.parse_args()
    if unknown := set(options.topics) - set(TOPICS):
        parser.error(f"no such topic: {', '.join(sorted(unknown))}")
    console = Console() if sys.stdout.isatty() else Console(width=140)
    for peer in PEERS:
        if not peer.installed:
            console.print(f"[yellow]{peer.name} is not installed and not measured.[/yellow]")
    with (
        tempfile.TemporaryDirectory() as directory,
        EmbeddedServer(Path(directory), appendonly=False) as server,
    ):
        results = asyncio.run(measure(server.url, options, console))
    print_all(console, results)
    if not options.topics:
        missing = [peer.name for peer in PEERS if not peer.installed]
        about = {"server": find_server().flavour, "rounds": options.rounds, "not installed": missing}
        store(RESULTS, results, about)
        console.print(f"Written to {RESULTS}")


if __name__ == "__main__":
    main()
