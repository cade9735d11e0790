"""Analytics killed (-9) between any two of its steps, and started again: `python killed_steps.py <folder>`.

Run by test_kills.py as a process, with REDIS_URL in the environment. Each moment has a database and keys of
its own. A child of this process works until it is killed at that moment; then another goes on, and prints
what has become of it as a line of JSON. Forked, so that nothing has to be imported twenty times over.
"""

import asyncio
import json
import os
import shutil
import signal
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from analytics_service import archive
from analytics_service.picture import fold_from_nothing, picture_of, read_picture
from analytics_service.projections import Projections
from analytics_service.projector import Projector, day_of
from analytics_service.rebuilds import Rebuilds
from pizzeria_chassis.database import Database
from pizzeria_chassis.migrations import migrate
from pizzeria_chassis.transaction import Transaction
from rediscore.breaker import CircuitBreaker
from rediscore.client import RedisConnections
from rediscore.clock import SystemClock
from rediscore.keys import KeySpace
from rediscore.testing import patient_settings

from services.analytics.tests.evening import evening

MOMENTS = (
    "after-commit", "before-begin", "after-begin", "before-apply", "after-apply", "before-hold", "after-hold",
    "before-note", "before-swap", "after-swap", "after-finish", "before-clear_retired", "after-clear_retired",
)  # fmt: skip
NOW = datetime.now(UTC)


class Killed:
    """Kills this process before or after a step, the second time that it comes to it."""

    def __init__(self, moment: str) -> None:
        self._when, _, self._step = moment.partition("-")
        self._times = 1 if self._step in ("hold", "clear_retired") else 2

    def around(self, step: str, act: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def killed(*arguments: Any, **options: Any) -> Any:
            self._times -= step == self._step
            last = step == self._step and self._times == 0
            if last and self._when == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            answer = await act(*arguments, **options)
            if last:
                os.kill(os.getpid(), signal.SIGKILL)
            return answer

        return killed


async def work(folder: Path, moment: str, killed: Killed | None) -> None:
    """Archive some, count, rebuild, archive more, rebuild again; all of it once, whoever does it."""
    database = Database(f"sqlite:///{folder / moment}.db", source="/test")
    connections = RedisConnections(patient_settings(os.environ["REDIS_URL"]))
    projections = Projections(connections, KeySpace(f"killed-{moment}"), breaker=CircuitBreaker("redis"))
    projector = Projector(database, projections, SystemClock())
    rebuilds = Rebuilds(database, projections.layout)
    projector._rebuilds = rebuilds
    transact = database.transact
    if killed is not None:
        for step in ("begin", "apply", "hold", "swap", "clear_retired"):
            setattr(projections, step, killed.around(step, getattr(projections, step)))
        for step in ("note", "finish"):
            setattr(rebuilds, step, killed.around(step, getattr(rebuilds, step)))
        transact = killed.around("commit", database.transact)  # type: ignore[assignment]
    events = evening(1, 12, now=NOW)
    Random(1).shuffle(events)
    for batch in (events[:60], events[60:]):

        async def keep(tx: Transaction, batch: Any = batch) -> None:
            await archive.append(tx, "orders.events", batch)

        await transact(keep)
        await rebuilds.request("asked-for")
        while await projector.step():
            pass
    later = SystemClock().now() + timedelta(minutes=2)
    await projections.clear_retired(await projections.control(), later)

    control = await projections.control()
    assert control.live is not None
    today = day_of(SystemClock().now())
    expected = picture_of(await fold_from_nothing(database, len(events)), today)
    found = await read_picture(projections, control.live.name, today)
    async with database.read() as connection:
        archived = len(await archive.since(connection, 0, limit=10_000))
    print(  # noqa: T201 - the answer to the test
        json.dumps(
            {
                "moment": moment,
                "archived": archived == len(events),
                "numbers": len(found),
                "right": found == expected,
                "open": await rebuilds.open() is not None,
                "retired": len(control.retired),
            }
        ),
        flush=True,
    )
    await connections.aclose()
    await database.aclose()


def in_a_child(act: Callable[[], None]) -> int:
    """What became of a process that did this: 0, or minus the signal that ended it."""
    child = os.fork()
    if child == 0:
        act()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


async def make_tables(file: Path) -> None:
    database = Database(f"sqlite:///{file}", source="/test")
    await migrate(database, "analytics_service")
    await database.aclose()


def main(folder: Path) -> None:
    assert in_a_child(lambda: asyncio.run(make_tables(folder / "empty.db"))) == 0
    for moment in MOMENTS:
        shutil.copy(folder / "empty.db", folder / f"{moment}.db")
        ended = in_a_child(lambda moment=moment: asyncio.run(work(folder, moment, Killed(moment))))  # type: ignore[misc]
        assert ended == -signal.SIGKILL, f"{moment}: {ended}"
        ended = in_a_child(lambda moment=moment: asyncio.run(work(folder, moment, None)))  # type: ignore[misc]
        assert ended == 0, f"{moment}: {ended}"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
