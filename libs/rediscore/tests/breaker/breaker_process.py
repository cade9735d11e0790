"""A process with one shared breaker; orders come on stdin, answers go to stdout, both JSON lines."""

import asyncio
import json
import sys
import time
from datetime import timedelta
from typing import Any

from rediscore.breaker import CircuitBreaker, CircuitOpen, SharedBreakers, Transition
from rediscore.client import RedisConnections
from rediscore.keys import KeySpace
from rediscore.testing import patient_settings


def say(**words: Any) -> None:
    sys.stdout.write(json.dumps(words) + "\n")
    sys.stdout.flush()


class DownError(Exception):
    pass


async def main(url: str, prefix: str) -> None:
    connections = RedisConnections(patient_settings(url))
    moved: dict[str, float] = {}

    def listen(transition: Transition) -> None:
        moved[transition.after.name] = time.monotonic()

    async with SharedBreakers(connections, keys=KeySpace(prefix)) as shared:
        breaker = CircuitBreaker(
            "psp",
            failures=3,
            probes=2,
            half_open_patience=timedelta(seconds=3),
            open_for=timedelta(seconds=1),
            shared=shared,
            listeners=[listen],
        )
        orders = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(orders), sys.stdin
        )
        say(ready=True)
        held: set[asyncio.Task[Any]] = set()
        while line := await orders.readline():
            order = json.loads(line)
            if order["do"] == "state":
                say(state=breaker.state.name, moved=moved)
            elif order["do"] == "fail":
                await asyncio.gather(*[breaker.call(fail) for _ in range(3)], return_exceptions=True)
                say(state=breaker.state.name, at=moved.get("OPEN"))
            elif order["do"] == "hold":  # begin many calls that do not end; say how many were let through
                begun = 0

                async def hold() -> None:
                    nonlocal begun
                    begun += 1
                    await asyncio.sleep(60)

                calls = {asyncio.create_task(breaker.call(hold)) for _ in range(order["calls"])}
                await asyncio.sleep(order["for"])
                for call in calls:
                    if call.done():
                        assert isinstance(call.exception(), CircuitOpen)
                held |= calls
                say(begun=begun)


async def fail() -> None:
    raise DownError


asyncio.run(main(*sys.argv[1:]))
