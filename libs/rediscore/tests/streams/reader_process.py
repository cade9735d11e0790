"""A consumer as a process of its own, to be killed and paused by tests.

Notes "<name> start <event>" and "<name> end <event>" in a Redis list. An event with `block` never ends;
one with `die` takes the process along, as a fault in native code would, one with `die_once` the first time
only; one with `stall` stops the loop of the reader `first` for so many seconds; one with `effect` adds 1 to
its field in a hash by an inbox.
"""

import asyncio
import os
import signal
import sys
import time

from rediscore.client import RedisConnections
from rediscore.keys import KeySpace
from rediscore.retry import Backoff
from rediscore.streams import RawEvent, RedisInbox, ReliableStreams, RetryPolicy
from rediscore.testing import patient_settings


async def main(url: str, prefix: str, name: str, mode: str, max_reclaims: int, concurrency: int) -> None:
    connections = RedisConnections(patient_settings(url))
    streams = ReliableStreams(
        connections, group="kitchen", keys=KeySpace(prefix), consumer=name, lease_ttl=2.0, min_idle=1.5
    )
    retry = RetryPolicy(max_attempts=3, backoff=Backoff(0.01, 0.05), max_reclaims=max_reclaims)
    subscriber = streams.subscriber(
        f"{prefix}.events",
        mode="competing" if mode == "competing" else "ordered",
        retry=retry,
        concurrency=concurrency,
    )

    inbox = RedisInbox(connections, keys=KeySpace(prefix), group="kitchen")

    async def handle(event: RawEvent) -> None:
        await connections.commands.rpush(f"{prefix}:log", f"{name} start {event.id}")
        if event.data.get("effect"):
            await inbox.apply(event.id, [("HINCRBY", f"{prefix}:effects", event.id, 1)])
        if name == "first":
            # The loop stands still: nothing is read, touched or renewed meanwhile.
            time.sleep(event.data.get("stall", 0.0))  # noqa: ASYNC251
        if event.data.get("die") or (
            event.data.get("die_once") and await connections.commands.sadd(f"{prefix}:died", event.id)
        ):
            os.kill(os.getpid(), signal.SIGKILL)
        if event.data.get("block") == name:
            await asyncio.Event().wait()
        await asyncio.sleep(event.data.get("seconds", 0.0))
        await connections.commands.rpush(f"{prefix}:log", f"{name} end {event.id}")

    subscriber.on_any(handle)
    await streams.start()
    done = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, done.set)
    await done.wait()
    await streams.stop()
    await connections.aclose()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4], int(sys.argv[5]), int(sys.argv[6])))
