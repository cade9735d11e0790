"""Two replicas, killed at random, with Redis wiped and rebuilds asked for, for SOAK_SECONDS: `make soak`."""

import asyncio
import os
import signal
from collections import Counter
from contextlib import ExitStack
from random import Random

import httpx
import pytest
import redis.asyncio
from pizzeria_chassis.testing import TOKENS
from rediscore.embedded import free_port
from rediscore.testing import eventually

from services.analytics.tests.harness import Books, House
from services.analytics.tests.test_kills import ready, service

SECONDS = float(os.environ.get("SOAK_SECONDS", "120"))


@pytest.mark.soak
@pytest.mark.timeout(SECONDS + 180)
@pytest.mark.proves("I6", "P13")
async def test_whatever_happens_everything_is_counted_once(house: House, books: Books) -> None:
    random = Random(int(os.environ["SOAK_SEED"]))
    ports = [free_port(), free_port()]
    happened = Counter[str]()
    over = asyncio.get_running_loop().time() + SECONDS

    async with (
        redis.asyncio.Redis.from_url(house.redis_url) as client,
        httpx.AsyncClient(headers={"Authorization": f"Bearer {TOKENS['manager']}"}, timeout=30) as manager,
    ):
        with ExitStack() as running:
            replicas = [running.enter_context(service(house, port)) for port in ports]
            async with house.guests(random, every=0.05):
                # In a short run, too, each happens; then as chance has it.
                while asyncio.get_running_loop().time() < over or len(+happened) < 3:
                    await asyncio.sleep(random.uniform(0.5, 4))
                    missing = [fault for fault in ("kill", "wipe", "rebuild") if not happened[fault]]
                    match random.choice(missing or ["kill", "wipe", "rebuild", "rebuild"]):
                        case "kill":
                            which = random.randrange(2)
                            replicas[which].send_signal(signal.SIGKILL)
                            replicas[which].wait()
                            replicas[which] = running.enter_context(service(house, ports[which]))
                            happened["kill"] += 1
                        case "wipe":
                            await client.flushdb()
                            happened["wipe"] += 1
                        case "rebuild":
                            try:
                                url = f"http://127.0.0.1:{random.choice(ports)}/projections/rebuild"
                                happened["rebuild"] += int((await manager.post(url)).status_code == 202)
                            except httpx.TransportError:
                                continue  # it was just killed
            told = len(await house.order.told())
            for port in ports:
                await ready(port)
            await eventually(lambda: books.all_counted(told), within=60, every=0.2, what="all is counted")
            for port in ports:

                async def adds_up(port: int = port) -> bool:
                    report = (await manager.get(f"http://127.0.0.1:{port}/projections/check")).json()
                    return bool(report["consistent"] and report["checkpoint"] == told)

                await eventually(adds_up, within=30, every=0.5, what="the check says that all adds up")
            assert await books.found() == await books.expected()
