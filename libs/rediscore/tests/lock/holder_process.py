"""One of several processes that write to a SQLite file under one lock. Run by `test_exclusion.py`.

Arguments: address of Redis, key prefix, the file, and "pauses" for the one that is going to be stopped.
That one says "inside" when it holds the lock, blocks until it gets a line, and writes as if nothing had
happened. All write until they are killed.
"""

import asyncio
import sqlite3
import sys
from contextlib import closing
from datetime import timedelta

from rediscore.client import RedisConnections
from rediscore.keys import KeySpace
from rediscore.lock import LockLost, Locks
from rediscore.testing import patient_settings

TTL = timedelta(seconds=1)


def say(word: str) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def write(file: str, who: str, token: int) -> bool:
    """Write, if no larger token was seen: the fence. Both outcomes are logged."""
    with closing(sqlite3.connect(file, timeout=30)) as database, database:
        accepted = database.execute(
            "UPDATE resource SET token = :token WHERE token <= :token", {"token": token}
        ).rowcount
        database.execute(
            "INSERT INTO log (who, token, accepted) VALUES (?, ?, ?)", (who, token, accepted == 1)
        )
    return accepted == 1


async def main(url: str, prefix: str, file: str, who: str) -> None:
    connections = RedisConnections(patient_settings(url))
    async with Locks(connections, keys=KeySpace(prefix)) as locks:
        while True:
            try:
                async with locks.lock("resource", ttl=TTL) as lease:
                    write(file, who, lease.token)
                    if who == "pauses":
                        say("inside")
                        sys.stdin.readline()  # stopped, and continued after more than the lease
                        say("written" if write(file, who, lease.token) else "refused")
                    await asyncio.sleep(0.01)
                    write(file, who, lease.token)
            except LockLost:
                if who == "pauses":
                    say("lost")
                    return


asyncio.run(main(*sys.argv[1:]))
