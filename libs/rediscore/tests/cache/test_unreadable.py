"""What cannot be read is a miss that is counted, never an error, and is written anew."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel
from rediscore.cache import Cache
from rediscore.cache.entry import extended, plain
from rediscore.client import RedisConnections
from rediscore.metrics import Metrics
from rediscore.serialisers import Json, SignedPickle

pytestmark = pytest.mark.proves("R2", "C7")

MakeCache = Callable[..., Cache[Any]]


class Pizza(BaseModel):
    name: str


JSON = Json().dumps({"name": "margherita"})
TAGGED = extended(JSON, ttl_ms=1000, grace_ms=0, tags=[b":t"])
FOREIGN = {
    "empty": b"",
    "text": b"foreign",
    "json": JSON,
    "binary": bytes(range(256)),
    "other model": plain(b'{"price": 3}'),
    "cut payload": plain(JSON)[:-3],
    "cut header": TAGGED[:30],
    "cut tags": TAGGED[:69],
    "header of another layout": b"\xc1\x40" + TAGGED[2:],
    "tags that end nowhere": TAGGED[:68] + b"\xff" + TAGGED[69:],
}


@pytest.mark.parametrize("fail_safe", [None, timedelta(seconds=60)])
@pytest.mark.parametrize("what", FOREIGN)
async def test_foreign_and_cut_off_bytes(
    make_cache: MakeCache,
    connections: RedisConnections,
    key_prefix: str,
    what: str,
    fail_safe: timedelta | None,
) -> None:
    metrics = Metrics()
    cache = make_cache(model=Pizza, metrics=metrics, fail_safe=fail_safe)
    name = f"{key_prefix}:v1:{{cache:things:0}}:e:k"

    async def spoil() -> None:
        await connections.execute("SET", name, FOREIGN[what])

    await spoil()
    assert await cache.get("k") is None
    assert await cache.get_many(["k"]) == {}
    assert not await cache.has("k")
    assert await cache.pull("k") is None
    await spoil()
    assert await cache.remember("k", lambda: Pizza(name="new")) == Pizza(name="new")
    assert await cache.get("k") == Pizza(name="new")
    # The tags that end nowhere are the server's to doubt; the others are seen here.
    assert metrics.meter("cache", "things").counts["unreadable"] >= (what != "tags that end nowhere")
    await spoil()
    assert not await cache.touch("k") or what in ("other model", "cut payload")
    await cache.set("k", Pizza(name="set"))
    assert await cache.get("k") == Pizza(name="set")


async def test_a_key_of_another_type_is_trouble_but_no_error(
    make_cache: MakeCache, connections: RedisConnections, key_prefix: str, source: Any
) -> None:
    cache = make_cache()
    await connections.execute("SADD", f"{key_prefix}:v1:{{cache:things:0}}:e:k", "x")
    assert await cache.get("k", "default") == "default"
    assert await cache.remember("k", source) == "value"
    await cache.delete("k")
    assert await cache.remember("k", source) == "value"
    assert await cache.get("k") == "value"


async def test_a_wrong_signature_is_a_miss_and_nothing_is_unpickled(
    make_cache: MakeCache, source: Any
) -> None:
    metrics = Metrics()
    ours = make_cache(serialiser=SignedPickle(keys=[b"k" * 16], purpose="test"), metrics=metrics)
    theirs = make_cache(serialiser=SignedPickle(keys=[b"x" * 16], purpose="test"))
    await theirs.set("k", {"a": 1})
    assert await ours.get("k") is None
    assert await ours.remember("k", source) == "value"
    assert await ours.get("k") == "value"
    assert metrics.meter("cache", "things").counts["unreadable"] == 2
