"""A process for tests: ``relay`` runs a relay until SIGTERM, or leads until it is about to do something (the
name of a method of ``Relay``) and dies; ``commit`` commits events and dies at once."""

import asyncio
import os
import signal
import sys

from pizzeria_chassis.database import Database
from pizzeria_chassis.outbox import Relay
from pizzeria_chassis.transaction import Transaction
from pizzeria_contracts.events import OrderReady
from pizzeria_contracts.streams import KITCHEN
from rediscore.client import RedisConnections
from rediscore.testing import eventually, patient_settings


async def die(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


async def relay(database_url: str, redis_url: str, redis_db: str, dies_at: str = "") -> None:
    database = Database(database_url, source="/pizzeria/kitchen")
    settings = patient_settings(redis_url).model_copy(update={"db": int(redis_db)})
    connections = RedisConnections(settings)
    running = Relay(database, connections, streams=[KITCHEN])
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await running.start()
    if dies_at:
        setattr(running, dies_at, die)
        await eventually(lambda: running.leads, within=40)
    sys.stdout.write("running\n")
    sys.stdout.flush()
    await stop.wait()
    await running.stop()
    await connections.aclose()
    await database.aclose()


async def commit(database_url: str, count: str) -> None:
    database = Database(database_url, source="/pizzeria/kitchen")

    async def tell(tx: Transaction) -> None:
        await tx.append(OrderReady(), subject="killed")

    for _ in range(int(count)):
        await database.transact(tell)
    await die()


if __name__ == "__main__":
    command = {"relay": relay, "commit": commit}[sys.argv[1]]
    asyncio.run(command(*sys.argv[2:]))  # type: ignore[operator]
