"""Measure rediscore against redis-py's raw calls and its peers: `make bench`, or in its environment

python -m bench.rediscore [cache lock ...] [--rounds 15] [--only 'hit'] [--loop uvloop]
"""

import argparse
import asyncio
import logging
import random
import re
import sys
import tempfile
import warnings
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

from rediscore.embedded import EmbeddedServer, find_server
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

from bench.rediscore.harness import Bed, Found, Table, run
from bench.rediscore.report import print_all, store

TOPICS = ("cache", "stampede", "lock", "breaker", "ratelimit", "session_leaderboard")
RESULTS = Path(__file__).parents[1] / "results" / "rediscore.json"

Topic = Callable[[Bed, AsyncExitStack], Awaitable[Sequence[Table]]]


async def measure(url: str, options: argparse.Namespace, console: Console) -> list[tuple[Table, list[Found]]]:
    """Every table that `--only` takes, one after the other."""
    shuffle = random.Random(options.seed)
    results: list[tuple[Table, list[Found]]] = []
    with Progress(
        *Progress.get_default_columns()[:-1], MofNCompleteColumn(), TimeRemainingColumn(), console=console
    ) as bar:
        for name in options.topics or TOPICS:
            topic: Topic = import_module(f"bench.rediscore.{name}").tables
            bed = Bed(url)
            async with AsyncExitStack() as stack:
                stack.push_async_callback(bed.aclose)
                for table in await topic(bed, stack):
                    if not re.search(options.only, table.title):
                        continue
                    rounds = max(2, round(options.rounds * table.share))
                    task = bar.add_task(f"{name}: {table.title}", total=(rounds + 1) * len(table.cases))
                    results.append((table, await run(table, rounds, shuffle, partial(bar.advance, task))))
            bed.control().flushall()
    return results


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.rediscore", description=__doc__)
    parser.add_argument("topics", nargs="*", help=f"of {', '.join(TOPICS)}; all when none is named")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--only", default="", help="regular expression on the titles of the tables")
    parser.add_argument("--loop", choices=("asyncio", "uvloop"), default="asyncio")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore", DeprecationWarning)  # of the peers
    console = Console() if sys.stdout.isatty() else Console(width=140)
    with (
        tempfile.TemporaryDirectory() as directory,
        EmbeddedServer(Path(directory), appendonly=False) as server,
        asyncio.Runner(loop_factory=_loop(options.loop)) as runner,
    ):
        results = runner.run(measure(server.url, options, console))
    if not results:
        sys.exit(f"No table is called {options.only!r}.")
    print_all(console, results)
    about = {
        "server": find_server().flavour,
        "loop": options.loop,
        "rounds": options.rounds,
        "redis-py": version("redis"),
    }
    if not options.only and not options.topics:
        store(RESULTS, results, about)
        console.print(
            f"Written to {RESULTS.relative_to(Path.cwd()) if RESULTS.is_relative_to(Path.cwd()) else RESULTS}"
        )


def _loop(name: str) -> Callable[[], asyncio.AbstractEventLoop] | None:
    if name == "asyncio":
        return None
    import uvloop

    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


if __name__ == "__main__":
    main()
