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
from typing import Final

from rediscore.errors import RediscoreError
from rediscore.tasks.app import Tasks
from rediscore.tasks.worker import Worker

log = logging.getLogger("rediscore.tasks")


_EPILOG: Final = """\
Where Redis is, app.module says: its Tasks object has the connections. SIGTERM or SIGINT: the worker takes
nothing more, lets what runs end within the grace time and gives back the rest at once; a second one ends the
grace time. A plain function in a thread cannot be stopped: it holds up the end of the process.

exit codes: 0 asked to stop; 1 an error inside; 2 the tasks cannot be found, or an option makes no sense.

example: python -m rediscore.tasks worker shop.jobs:tasks --concurrency 100 --prefetch 100
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a worker until SIGTERM or SIGINT. Returns the exit code."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(
        level=options.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s %(message)s"
    )
    try:
        asyncio.run(_work(options))
    except RediscoreError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except Exception:
        log.exception("worker_ended")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m rediscore.tasks", description="Background tasks.")
    commands = parser.add_subparsers(dest="command", required=True)
    worker = commands.add_parser(
        "worker",
        help="take tasks from the queue and run them",
        description="Take tasks from the queue and run them.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    worker.add_argument("tasks", help="module:name of a Tasks object, or of a function that makes one")
    worker.add_argument("--concurrency", type=int, default=50, help="tasks at once (default 50)")
    worker.add_argument("--prefetch", type=int, default=0, help="tasks to hold ready beyond that (default 0)")
    worker.add_argument("--threads", type=int, help="plain functions at once (default: up to 32)")
    worker.add_argument("--grace", type=float, default=20.0, help="seconds to end after SIGTERM (default 20)")
    worker.add_argument("--name", help="as the pages show it; made up when not given")
    worker.add_argument(
        "--log-level", choices=["debug", "info", "warning", "error"], default="info", help="(default info)"
    )
    return parser


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
        try:
            worker = Worker(
                tasks,
                concurrency=options.concurrency,
                prefetch=options.prefetch,
                threads=options.threads,
                grace=timedelta(seconds=options.grace),
                name=options.name,
            )
        except ValueError as error:
            raise RediscoreError(str(error)) from None
        running = asyncio.create_task(worker.run())
        asked = 0

        def stop() -> None:
            nonlocal asked
            asked += 1
            if asked == 1:
                worker.stop()
            else:
                running.cancel()

        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop)
        log.info("worker_started name=%s tasks=%d", worker.name, len(tasks.registered))
        await asyncio.wait({running})
        if not running.cancelled():
            running.result()
    finally:
        await tasks.aclose()
        await tasks.connections.aclose()


if __name__ == "__main__":
    sys.exit(main())
