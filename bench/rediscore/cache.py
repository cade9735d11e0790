"""The cache: hits, writes with tags, the first level in memory, the decorator."""

import json
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from functools import partial
from itertools import cycle
from typing import Any

import aiocache
import aiocache.serializers
import cashews
from dogpile.cache import make_region
from rediscore.cache import Cache, Local
from rediscore.keys import KeySpace
from rediscore.settings import RedisSettings

from bench.rediscore.harness import TASKS, Bed, Role, Table, cases

VALUE = {
    "id": "8d3c3d9e-51a7-44b5-8a3b-7a1a5f6f3b11",
    "name": "Quattro Stagioni",
    "toppings": ["tomato", "mozzarella", "ham", "mushrooms", "artichokes", "olives"],
    "sizes": {"small": "9.50", "medium": "12.90", "large": "15.90"},
    "available": True,
    "minutes": 12,
    "description": "Four seasons on one pizza: a quarter each of artichokes, ham, mushrooms and olives. " * 2,
}
TEXT = json.dumps(VALUE)
TAGS = ("menu", "pizza")
TTL = 600
KEYS = [f"entry:{number}" for number in range(200)]


async def tables(bed: Bed, stack: AsyncExitStack) -> Sequence[Table]:
    await bed.raw.set("raw", TEXT, ex=TTL)
    ours = Ours(bed)
    await ours.warm_up()
    peers = Peers(bed.url)
    stack.push_async_callback(peers.aclose)
    await peers.warm_up()
    return [
        hit(bed, ours, peers, tasks=1, goals=(1.15, 0.60)),
        hit(bed, ours, peers, tasks=TASKS, goals=(None, 0.20)),
        write(bed, ours, peers),
        in_memory(bed, ours, peers),
        decorator(bed, ours, peers),
        decorator_in_memory(bed, ours, peers),
    ]


class Ours:
    """Our caches on both transports, and one with a first level in memory."""

    def __init__(self, bed: Bed) -> None:
        options: dict[str, Any] = {"keys": KeySpace("bench"), "ttl": timedelta(seconds=TTL)}
        self.pool: Cache[Any] = Cache(bed.pool, "pool", **options)
        self.multiplexed: Cache[Any] = Cache(bed.multiplexed, "multiplexed", **options)
        # Apart, because a cache that has met a tag looks at tags when it reads.
        self.tagged_pool: Cache[Any] = Cache(bed.pool, "tagged-pool", **options)
        self.tagged: Cache[Any] = Cache(bed.multiplexed, "tagged", **options)
        self.decorated: Cache[Any] = Cache(bed.multiplexed, "decorated", **options)
        self.local: Cache[Any] = Cache(bed.multiplexed, "local", local=Local(), **options)
        self.from_redis = self.decorated.cached("made:{number}")(make)
        self.from_memory = self.local.cached("made:{number}")(make)

    async def warm_up(self) -> None:
        for cache in (self.pool, self.multiplexed, self.local):
            await cache.set("entry", VALUE)
            assert await cache.get("entry") == VALUE
        for tagged in (self.tagged_pool, self.tagged):
            await tagged.set("entry", VALUE, tags=TAGS)
            assert await tagged.get("entry") == VALUE
        for made in (self.from_redis, self.from_memory):
            assert await made(1) == VALUE


class Peers:
    """The others, each as its documentation sets it up."""

    def __init__(self, url: str) -> None:
        self.cashews = cashews.Cache()
        self.cashews.setup(url)
        self.cashews_memory = cashews.Cache()
        self.cashews_memory.setup("mem://")
        self.cashews_client_side = cashews.Cache()
        # protocol=2: with redis-py's default its local copies are never invalidated.
        self.cashews_client_side.setup(url, client_side=True, protocol=2)
        settings = RedisSettings.from_url(url)
        where: dict[str, Any] = {
            "cache": aiocache.Cache.REDIS,
            "endpoint": settings.host,
            "port": settings.port,
            "namespace": "aiocache:",
            "password": settings.password.get_secret_value() if settings.password else None,
        }
        json_text = aiocache.serializers.JsonSerializer
        self.aiocache = aiocache.Cache(
            where["cache"], **{k: v for k, v in where.items() if k != "cache"}, serializer=json_text()
        )
        self.aiocache_memory = aiocache.Cache(aiocache.Cache.MEMORY)
        self.dogpile = make_region().configure(
            "dogpile.cache.redis", expiration_time=TTL, arguments={"url": url, "redis_expiration_time": TTL}
        )
        self.cashews_made = self.cashews(ttl=TTL, key="cashews:made:{number}")(make)
        self.cashews_memory_made = self.cashews_memory(ttl=TTL, key="cashews:made:{number}")(make)
        self.aiocache_made = aiocache.cached(
            ttl=TTL, key_builder=lambda _, number: f"made:{number}", serializer=json_text(), **where
        )(make)

    async def warm_up(self) -> None:
        for cache in (self.cashews, self.cashews_memory, self.cashews_client_side):
            await cache.init()
            await cache.set("cashews:entry", VALUE, expire=TTL)
        for other in (self.aiocache, self.aiocache_memory):
            await other.set("entry", VALUE, ttl=TTL)
        self.dogpile.set("dogpile:entry", VALUE)
        assert await self.cashews_client_side.get("cashews:entry") == VALUE
        for made in (self.cashews_made, self.cashews_memory_made, self.aiocache_made):
            assert await made(1) == VALUE

    async def dogpile_get(self) -> None:
        """Blocks the thread: for scale only."""
        self.dogpile.get("dogpile:entry")

    async def aclose(self) -> None:
        for cache in (self.cashews, self.cashews_memory, self.cashews_client_side):
            await cache.close()
        await self.aiocache.close()


async def make(number: int) -> Any:
    return VALUE


def hit(bed: Bed, ours: Ours, peers: Peers, *, tasks: int, goals: tuple[float | None, float]) -> Table:
    add = cases(bed, tasks=tasks)
    pool_goal = {} if goals[0] is None else {"ratio": goals[0]}
    made = [
        add("GET", Role.RAW, partial(bed.raw.get, "raw")),
        add("ours, pool", Role.OURS, partial(ours.pool.get, "entry"), **pool_goal),
        add("ours, multiplexed", Role.OURS, partial(ours.multiplexed.get, "entry"), ratio=goals[1]),
        add("ours, multiplexed, two tags", Role.OURS, partial(ours.tagged.get, "entry")),
        add("cashews", Role.PEER, partial(peers.cashews.get, "cashews:entry")),
        add("aiocache", Role.PEER, partial(peers.aiocache.get, "entry")),
    ]
    if tasks == 1:
        made.append(add("dogpile.cache", Role.BLOCKING, peers.dogpile_get))
    return Table(f"hit, {tasks} task{'s' if tasks > 1 else ''}", made, baseline="GET")


def write(bed: Bed, ours: Ours, peers: Peers) -> Table:
    add, keys = cases(bed, tasks=TASKS), cycle(KEYS)
    return Table(
        f"set with two tags, {TASKS} tasks",
        [
            add("SET", Role.RAW, lambda: bed.raw.set(next(keys), TEXT, ex=TTL)),
            add("ours, pool", Role.OURS, lambda: ours.tagged_pool.set(next(keys), VALUE, tags=TAGS)),
            add(
                "ours, multiplexed",
                Role.OURS,
                lambda: ours.tagged.set(next(keys), VALUE, tags=TAGS),
                ratio=0.35,
            ),
            add(
                "cashews",
                Role.PEER,
                lambda: peers.cashews.set(f"cashews:{next(keys)}", VALUE, expire=TTL, tags=TAGS),
            ),
            add("aiocache (no tags)", Role.PEER, lambda: peers.aiocache.set(next(keys), VALUE, ttl=TTL)),
        ],
        baseline="SET",
    )


def in_memory(bed: Bed, ours: Ours, peers: Peers) -> Table:
    add = cases(bed, tasks=1)
    return Table(
        "hit in the first level, 1 task",
        [
            add("GET", Role.RAW, partial(bed.raw.get, "raw")),
            add("ours", Role.OURS, partial(ours.local.get, "entry"), ratio=0.02),
            add(
                "cashews, client side (protocol 2)",
                Role.PEER,
                partial(peers.cashews_client_side.get, "cashews:entry"),
            ),
            add("cashews, memory only", Role.PEER, partial(peers.cashews_memory.get, "cashews:entry")),
            add("aiocache, memory only", Role.PEER, partial(peers.aiocache_memory.get, "entry")),
        ],
        baseline="GET",
    )


def decorator(bed: Bed, ours: Ours, peers: Peers) -> Table:
    add = cases(bed, tasks=1)
    return Table(
        "decorator, hit in Redis, 1 task",
        [
            add("GET", Role.RAW, partial(bed.raw.get, "raw")),
            add("ours, multiplexed", Role.OURS, partial(ours.from_redis, 1), ratio=0.70),
            add("cashews", Role.PEER, partial(peers.cashews_made, 1)),
            add("aiocache", Role.PEER, partial(peers.aiocache_made, 1)),
        ],
        baseline="GET",
    )


def decorator_in_memory(bed: Bed, ours: Ours, peers: Peers) -> Table:
    add = cases(bed, tasks=1)
    return Table(
        "decorator, hit in the first level, 1 task",
        [
            add("GET", Role.RAW, partial(bed.raw.get, "raw")),
            add("ours", Role.OURS, partial(ours.from_memory, 1), us=3.0),
            add("cashews, memory only", Role.PEER, partial(peers.cashews_memory_made, 1)),
        ],
        baseline="GET",
    )
