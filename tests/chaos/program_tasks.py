"""An application with tasks, run by `python -m rediscore.tasks worker tests.chaos.program_tasks:tasks`."""

import os
from datetime import timedelta

from rediscore.retry import Backoff
from rediscore.tasks import Retry, Task, Tasks, current_call

from tests.chaos.harness_ledger import Effect, Ledger
from tests.chaos.harness_run import LEASE, MAX_ATTEMPTS, MAX_RECLAIMS, Run, sort_of
from tests.chaos.harness_work import Workplace, behave


def tasks() -> Tasks:
    """As a worker finds them: the run is in the environment."""
    run = Run.from_json(os.environ["CHAOS_RUN"])
    return declare(run, os.environ["CHAOS_NAME"])[0]


def declare(run: Run, name: str) -> tuple[Tasks, Task[[str], str]]:
    """The tasks, and the one that there is."""
    connections = run.connect()
    made = Tasks(
        connections, "jobs", keys=run.keys, lease=timedelta(seconds=LEASE), max_recoveries=MAX_RECLAIMS
    )
    place = Workplace(Ledger(run.file("tasks.db"), name), connections, f"{run.prefix}:tasks")

    @made.task(retry=Retry(max_attempts=MAX_ATTEMPTS, backoff=Backoff(0.02, 0.2)), keep_result=True)
    async def job(item: str) -> str:
        token = current_call().token
        verdict, attempt = await place.begin(item, token)
        if verdict == "go":
            await behave(sort_of(item), attempt)
            await place.finish([Effect(item, token=token)])
        return item

    return made, job
