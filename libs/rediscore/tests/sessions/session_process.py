"""Another process that uses sessions. Arguments: key prefix, what to do, its arguments. Prints "ready", waits
for a line on stdin, acts, and prints what came of it as one line of JSON. The address is in REDIS_URL."""

import asyncio
import json
import sys
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from rediscore.client import RedisConnections
from rediscore.keys import KeySpace
from rediscore.sessions import Sessions
from rediscore.settings import RedisSettings


@dataclass
class Login:
    a: int = 0
    b: int = 0


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def main(prefix: str, verb: str, argument: str) -> None:
    connections = RedisConnections(RedisSettings())
    sessions = Sessions(
        connections,
        "web",
        Login,
        keys=KeySpace(prefix),
        idle=timedelta(minutes=30),
        absolute=timedelta(hours=8),
        most_per_user=1000,
    )
    await connections.ping()
    say("ready")
    await asyncio.to_thread(sys.stdin.readline)
    made = []
    for n in range(1, 51):
        if verb == "create":
            made.append((await sessions.create(argument, Login())).id)
        else:
            fields: dict[str, Any] = {verb: n}
            await sessions.update(argument, **fields)
    say(json.dumps(made))
    await connections.aclose()


asyncio.run(main(*sys.argv[1:]))
