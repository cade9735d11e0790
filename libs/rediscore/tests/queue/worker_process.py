"""Workers of one queue, each a process that a test may kill or stop: `worker_process.py PREFIX WORKERS`.

The parent keeps so many children alive; they are forked, so a new one is there at once. What a child begins
it writes to the list `<prefix>:begun`, as "entry token pid time"; its result is the token it worked under.
An entry with the payload `poison` kills the child that begins it.
"""

import asyncio
import os
import signal
import sys
import time
from datetime import timedelta

from rediscore.client import RedisConnections
from rediscore.keys import KeySpace
from rediscore.queue import Claim, Done, PriorityQueue
from rediscore.retry import TRANSIENT
from rediscore.testing import patient_settings

LEASE = timedelta(seconds=1)
OPTIONS = {
    "head_start": {"standard": timedelta(0), "express": timedelta(minutes=10)},
    "lease": LEASE,
    "max_recoveries": 2,
}


async def work(url: str, prefix: str) -> None:
    connections = RedisConnections(patient_settings(url))
    queue = PriorityQueue(connections, "work", keys=KeySpace(prefix), **OPTIONS)  # type: ignore[arg-type]
    name = str(os.getpid())
    done: list[Claim | Done] = []
    while True:
        try:
            claims = await queue.claim_many(name, 4, done=done, wait=timedelta(seconds=1))
            done = []
            for claim in claims:
                begun = f"{claim.entry_id} {claim.token} {name} {time.time()}"
                await connections.execute("RPUSH", f"{prefix}:begun", begun)
                if claim.payload == b"poison":
                    os.kill(os.getpid(), signal.SIGKILL)
                await asyncio.sleep(0.004)
                done.append(Done(claim, b"%d" % claim.token))
        except TRANSIENT:
            await asyncio.sleep(0.05)  # the server is away; what is held is done again by somebody


def main() -> None:
    url, prefix, workers = sys.stdin.readline().strip(), sys.argv[1], int(sys.argv[2])
    children: set[int] = set()

    def end(*_: object) -> None:
        for child in children:
            os.kill(child, signal.SIGKILL)
        os._exit(0)

    signal.signal(signal.SIGTERM, end)
    while True:
        while len(children) < workers:
            if (child := os.fork()) == 0:
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
                asyncio.run(work(url, prefix))
            children.add(child)
        gone, _ = os.wait()
        children.discard(gone)


if __name__ == "__main__":
    main()
