"""A process for tests: consumes, and dies by SIGKILL after a commit, before anything is acknowledged."""

import asyncio
import os
import signal
import sys
from typing import Any

import httpx
from pizzeria_chassis.database import Database
from pizzeria_chassis.testing.events import Replica, note_effect
from pizzeria_chassis.transaction import Transaction
from pizzeria_contracts.events import TicketStarted
from rediscore.streams.event import CloudEvent
from rediscore.testing import patient_settings


async def main(database_url: str, redis_url: str, redis_db: str, _: str) -> None:
    settings = patient_settings(redis_url).model_copy(update={"db": int(redis_db)})
    nobody = httpx.MockTransport(lambda _: httpx.Response(503))
    replica = Replica(Database(database_url, source="/pizzeria/order"), settings, nobody, lease=1.0)

    @replica.consumer.on(TicketStarted)
    async def handler(tx: Transaction, event: CloudEvent[Any]) -> None:
        async def die() -> None:
            os.kill(os.getpid(), signal.SIGKILL)

        await note_effect(tx, event)
        tx.after_commit(die)

    replica.consumer.ignore_rest()
    await replica.start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
