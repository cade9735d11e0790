"""`python -m rediscore.tasks worker app.module:tasks`"""

import argparse
import asyncio
import importlib
import logging
import os
import signal
import sys
from collections.abc import Sequence
from datetime import timedelta

from rediscore.errors import RediscoreError
from rediscore.tasks.app import Tasks
from rediscore.tasks.worker import Worker


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a worker until SIGTERM or SIGINT. Exit code 0, or 2 when the tasks cannot be found."""
    parser = argparse.ArgumentParser(prog="python -m rediscore.tasks", description="Background tasks.")
    commands = parser.add_subparsers(dest="command", required=True)
    worker = commands.add_parser("worker", help="take tasks from the queue and run them")
    worker.add_argument("tasks", help="module:name of a Tasks object, or of a function that makes one")
    worker.add_argument("--concurrency", type=int, default=50, help="tasks at once (default 50)")
    worker.add_argument("--grace", type=float, default=20.0, help="seconds to end after SIGTERM (default 20)")
    worker.add_argument("--name", help="as the pages show it; made up when not given")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        asyncio.run(_work(options))
    except RediscoreError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


def find_tasks(reference: str) -> Tasks:
    """The object that `module:name` means. Raises: RediscoreError that says what is wrong with it."""
    module, _, name = reference.partition(":")
    if not module or not name:
        raise RediscoreError(f"{reference!r} is not module:name, such as shop.jobs:tasks.")
    if os.getcwd() not in sys.path:  # noqa: PTH109  as `python -m` has it
        sys.path.insert(0, os.getcwd())  # noqa: PTH109
    try:
        found = getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as error:
        raise RediscoreError(f"No module {error.name!r}; run this where it can be imported.") from None
    except AttributeError:
        raise RediscoreError(f"{module} has no {name}.") from None
    tasks = found() if callable(found) and not isinstance(found, Tasks) else found
    if not isinstance(tasks, Tasks):
        raise RediscoreError(f"{reference} is no Tasks but a {type(tasks).__name__}.")
    return tasks


async def _work(options: argparse.Namespace) -> None:
    tasks = find_tasks(options.tasks)
    try:
        worker = Worker(
            tasks,
            concurrency=options.concurrency,
            grace=timedelta(seconds=options.grace),
            name=options.name,
        )
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, worker.stop)
        await worker.run()
    finally:
        await tasks.aclose()
        await tasks.connections.aclose()


if __name__ == "__main__":
    sys.exit(main())
