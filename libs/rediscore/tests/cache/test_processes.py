"""One computation in all processes together, also when the one that computes is killed."""

import asyncio
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from rediscore.cache import Cache
from rediscore.client import RedisConnections
from rediscore.keys import KeySpace
from rediscore.testing import ServerUnderTest, eventually, patient_settings
from rediscore.testing.nursery import Forked, Nursery

pytestmark = pytest.mark.proves("R3", "C1")

PROGRAM = Path(__file__).with_name("loading_process.py")


async def start(nursery: Nursery, url: str, prefix: str, tasks: int, seconds: float, *how: str) -> Forked:
    process = await nursery.start(PROGRAM, url, prefix, tasks, seconds, *how)
    assert await process.stdout.readline() == b"ready\n"
    return process


async def go(process: Forked) -> None:
    process.stdin.write(b"go\n")
    await process.stdin.drain()


async def commands(connections: RedisConnections) -> int:
    """Sent by clients so far. Commands inside scripts count too, so: each of our scripts has one GET."""
    counts: dict[bytes, int] = {}
    for line in (await connections.execute("INFO", "commandstats")).splitlines():
        name, _, rest = line.partition(b":calls=")
        counts[name.removeprefix(b"cmdstat_")] = int(rest.partition(b",")[0] or 0) if rest else 0
    names = (b"get", b"eval", b"subscribe", b"unsubscribe", b"hello", b"ping", b"unlink", b"scan", b"select")
    return sum(counts.get(name, 0) for name in names) + counts.get(b"client|setinfo", 0)


async def test_four_processes_fifty_tasks_each_one_call(
    nursery: Nursery, disposable_server: ServerUnderTest, key_prefix: str
) -> None:
    connections = RedisConnections(patient_settings(disposable_server.url))
    try:
        await connections.ping()
        processes = await asyncio.gather(
            *(start(nursery, disposable_server.url, key_prefix, 50, 0.05) for _ in range(4))
        )
        await connections.execute("CONFIG", "RESETSTAT")
        for process in processes:
            await go(process)
        answers = [(await process.communicate())[0] for process in processes]

        assert [answer.split()[0] for answer in answers] == [b"{1}"] * 4
        assert await connections.execute("GET", f"{key_prefix}:calls") == b"1"
        assert await commands(connections) <= 60
    finally:
        await connections.aclose()


async def test_a_loader_that_is_killed_is_taken_over(
    nursery: Nursery,
    cache: Cache[Any],
    connections: RedisConnections,
    redis_url: str,
    key_prefix: str,
    source: Any,
) -> None:
    loader = await start(nursery, redis_url, key_prefix, 5, 600)
    await go(loader)

    async def computing() -> bool:
        return bool(await connections.execute("EXISTS", f"{key_prefix}:calls"))

    await eventually(computing, what="the other process computes")
    waiters = [asyncio.create_task(cache.remember("k", source)) for _ in range(20)]
    await asyncio.sleep(2.0)  # longer than a lease: it is renewed
    assert source.calls == 0

    loader.kill()
    killed = time.monotonic()
    await loader.wait()
    assert await asyncio.gather(*waiters) == ["value"] * 20

    assert source.calls == 1
    # A lease, and a margin for a machine under load; not the ten minutes that the factory takes.
    assert time.monotonic() - killed < 5


@pytest.mark.proves("R6", "C5")
async def test_when_the_source_is_away_all_processes_serve_the_old_value_and_one_asks(
    nursery: Nursery, connections: RedisConnections, redis_url: str, key_prefix: str
) -> None:
    old: Cache[int] = Cache(
        connections,
        "things",
        keys=KeySpace(key_prefix),
        ttl=timedelta(milliseconds=50),
        fail_safe=timedelta(minutes=10),
    )
    await old.set("k", 7)
    await asyncio.sleep(0.1)
    assert await old.get("k") is None, "it is not fresh any more"

    processes = await asyncio.gather(
        *(start(nursery, redis_url, key_prefix, 20, 0.05, "fail") for _ in range(3))
    )
    for process in processes:
        await go(process)
    answers = [(await process.communicate())[0] for process in processes]

    assert [answer.split()[0] for answer in answers] == [b"{7}"] * 3
    assert await connections.execute("GET", f"{key_prefix}:calls") == b"1"
    await old.aclose()
