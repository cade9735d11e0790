"""The same on a cluster: one shard per slot, one request per shard."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from rediscore.cache import Cache
from rediscore.client import RedisConnections

pytestmark = [pytest.mark.proves("R2", "R3", "R5", "CLUSTER"), pytest.mark.xdist_group("cluster")]

MakeCache = Callable[..., Cache[Any]]


async def test_every_verb_on_a_cluster(
    make_cache: MakeCache, cluster_connections: RedisConnections, source: Any
) -> None:
    cache = make_cache(through=cluster_connections, shards=4, fail_safe=timedelta(minutes=1))
    other = make_cache("things2", through=cluster_connections, shards=4)
    many = {f"k{number}": number for number in range(200)}
    try:
        await cache.set_many(many, tags=["t"])
        await other.set_many(many, tags=["t"])
        assert await cache.get_many(many) == many
        assert [await cache.get(key) for key in list(many)[:20]] == list(range(20))
        await cache.invalidate_tags("t")
        assert await cache.get_many(many) == {}
        assert await other.get_many(many) == many

        await cache.set("k1", 5)
        assert await cache.increment("k1") == 6
        assert await cache.touch("k1")
        assert not await cache.add("k1", 1)
        assert await cache.add("k2", 1)
        assert await cache.pull("k1") == 6
        for key in ("k3", "k4", "k5"):
            assert await cache.remember(key, source, tags=["u"]) == "value"
        assert source.calls == 3
        await cache.forever("k6", 1)
        await cache.set("x", 1)
        await cache.delete("k3", "k4", "absent")
        assert set(await cache.get_many([*many, "x"])) == {"k2", "k5", "k6", "x"}
        await cache.delete_prefix("k")
        assert await cache.get_many([*many, "x"]) == {"x": 1}
        await cache.clear()
        assert not await cache.has("x")
        assert await other.get_many(many) == many
    finally:
        await other.clear()
