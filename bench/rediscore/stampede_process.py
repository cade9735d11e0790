"""One process of the crowd: `python -m bench.rediscore.stampede_process redis://...`, orders on stdin."""

import asyncio
import json
import logging
import sys
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import Any, Literal

import aiocache
import cashews
import redis.asyncio
from dogpile.cache import make_region
from rediscore.cache import Cache
from rediscore.client import RedisConnections
from rediscore.keys import KeySpace
from rediscore.settings import RedisSettings

FACTORY_SECONDS = 0.05
TTL = 600
OURS = ("ours, pool", "ours, multiplexed")
PEERS = ("cashews", "cashews, one loader (lock)", "aiocache, stampede")
BLOCKING = ("dogpile.cache, one loader (threads)",)

Factory = Callable[[], Awaitable[str]]
Remember = Callable[[str, Factory], Awaitable[Any]]


async def raw(url: str) -> Remember:
    client = redis.asyncio.Redis.from_url(url)

    async def remember(key: str, factory: Factory) -> Any:
        found = await client.get(key)
        if found is None:
            found = await factory()
            await client.set(key, found, ex=TTL)
        return found

    return remember


async def ours(url: str, transport: Literal["pool", "multiplexed"]) -> Remember:
    connections = RedisConnections(RedisSettings.from_url(url, transport=transport))
    ttl = timedelta(seconds=TTL)
    cache: Cache[str] = Cache(connections, f"stampede-{transport}", keys=KeySpace("bench"), ttl=ttl)
    return cache.remember


async def cashews_(url: str, *, lock: bool) -> Remember:
    cache = cashews.Cache()
    cache.setup(url)
    await cache.init()
    return through(cache(ttl=TTL, key="stampede:{key}", lock=lock))


async def aiocache_(url: str) -> Remember:
    settings = RedisSettings.from_url(url)
    decorator = aiocache.cached_stampede(
        lease=2,
        ttl=TTL,
        cache=aiocache.Cache.REDIS,
        key_builder=lambda _, key: f"stampede:{key}",
        endpoint=settings.host,
        port=settings.port,
        password=settings.password.get_secret_value() if settings.password else None,
    )
    return through(decorator)


def through(decorator: Callable[..., Any]) -> Remember:
    """For libraries whose single flight is in a decorator."""
    factories: dict[str, Factory] = {}

    async def load(key: str) -> str:
        return await factories[key]()

    decorated = decorator(load)

    async def remember(key: str, factory: Factory) -> Any:
        factories[key] = factory
        return await decorated(key)

    return remember


async def dogpile(url: str) -> Remember:
    region = make_region().configure(
        "dogpile.cache.redis",
        expiration_time=TTL,
        arguments={"url": url, "distributed_lock": True, "lock_timeout": TTL, "thread_local_lock": False},
    )
    threads = ThreadPoolExecutor(50)

    async def remember(key: str, factory: Factory) -> Any:
        loop = asyncio.get_running_loop()

        def blocking() -> str:
            return asyncio.run_coroutine_threadsafe(_coroutine(factory), loop).result()

        return await loop.run_in_executor(threads, partial(region.get_or_create, key, blocking))

    return remember


async def _coroutine(factory: Factory) -> str:
    return await factory()


LIBRARIES: dict[str, Callable[[str], Awaitable[Remember]]] = {
    "GET, SET": raw,
    "ours, pool": partial(ours, transport="pool"),
    "ours, multiplexed": partial(ours, transport="multiplexed"),
    "cashews": partial(cashews_, lock=False),
    "cashews, one loader (lock)": partial(cashews_, lock=True),
    "aiocache, stampede": aiocache_,
    "dogpile.cache, one loader (threads)": dogpile,
}


class Caller:
    """Does one order: `tasks` callers of one key, begun at `at`."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._libraries: dict[str, Remember] = {}

    async def obey(self, order: dict[str, Any]) -> dict[str, Any]:
        name = order["library"]
        if name not in self._libraries:
            self._libraries[name] = await LIBRARIES[name](self._url)
        remember, calls, errors, slowest = self._libraries[name], 0, 0, 0.0

        async def factory() -> str:
            nonlocal calls
            calls += 1
            await asyncio.sleep(order["factory"])
            return "value"

        async def caller() -> None:
            nonlocal errors, slowest
            begun = time.perf_counter()
            try:
                async with asyncio.timeout(order["patience"]):
                    await remember(order["key"], factory)
            except (Exception, asyncio.CancelledError):  # noqa: BLE001  counted, whatever a library raises
                errors += 1
            slowest = max(slowest, time.perf_counter() - begun)

        await asyncio.sleep(max(0.0, order["at"] - time.time()))
        callers = [asyncio.create_task(caller()) for _ in range(order["tasks"])]
        # Not every library can be cancelled: whoever is still there then has given up as well.
        _, stuck = await asyncio.wait(callers, timeout=order["patience"] + 1.0)
        return {"calls": calls, "errors": errors + len(stuck), "slowest": slowest}


async def main(url: str) -> None:
    caller, lines = Caller(url), asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := await lines.readline():
        answer = await caller.obey(json.loads(line))
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    asyncio.run(main(sys.argv[1]))
