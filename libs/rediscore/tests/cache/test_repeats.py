"""Every verb is safe to send twice: the reply is lost, the effect is there once, the answer is the same."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from rediscore.cache import Cache
from rediscore.client import RedisConnections
from rediscore.metrics import Metrics
from rediscore.testing import FaultProxy

pytestmark = pytest.mark.proves("R2", "T1")

MakeCache = Callable[..., Cache[Any]]


@pytest.fixture
async def flaky(make_cache: MakeCache, through_proxy: RedisConnections) -> Cache[Any]:
    """The same cache as `cache`, through the proxy."""
    return make_cache(through=through_proxy)


@pytest.mark.parametrize(
    ("before", "verb", "args", "answer", "after"),
    [
        (None, "set", ("k", 1), None, 1),
        (None, "set_many", ({"k": 1},), None, 1),
        (None, "forever", ("k", 1), None, 1),
        (None, "add", ("k", 1), True, 1),
        (0, "add", ("k", 1), False, 0),
        (5, "pull", ("k",), 5, None),
        (5, "increment", ("k", 2), 7, 7),
        (None, "increment", ("k", 2), 2, 2),
        (5, "decrement", ("k", 2), 3, 3),
        (5, "delete", ("k",), None, None),
        (5, "touch", ("k",), True, 5),
        (5, "invalidate_tags", ("t",), None, None),
        (5, "delete_prefix", ("k",), None, None),
        (5, "clear", (), None, None),
    ],
)
async def test_lost_reply(
    cache: Cache[Any],
    flaky: Cache[Any],
    fault_proxy: FaultProxy,
    before: int | None,
    verb: str,
    args: tuple[Any, ...],
    answer: object,
    after: int | None,
) -> None:
    if before is not None:
        await cache.set("k", before, tags=["t"])
    fault_proxy.swallow_reply(
        after=b":e:k" if verb not in ("invalidate_tags", "clear", "delete_prefix") else b"*"
    )

    assert await getattr(flaky, verb)(*args) == answer

    assert fault_proxy.swallowed == 1
    assert await cache.get("k") == after


@pytest.mark.parametrize("lost", [1, 2, 3])
async def test_lost_replies_to_the_steps_of_remember(
    cache: Cache[Any],
    make_cache: MakeCache,
    through_proxy: RedisConnections,
    fault_proxy: FaultProxy,
    source: Any,
    lost: int,
) -> None:
    """Read, lease, fill: each is sent again, is recognised, and nobody waits for a lease that is nobody's."""
    metrics = Metrics()
    flaky = make_cache(through=through_proxy, metrics=metrics)

    joined: list[asyncio.Task[Any]] = []

    async def factory() -> Any:
        if not joined:
            joined.append(asyncio.create_task(flaky.remember("k", factory)))
            await asyncio.sleep(0.1)  # it has read, and waits for this computation
        if lost == 3:
            fault_proxy.swallow_reply(after=b":e:k")
        return await source()

    if lost == 1:
        fault_proxy.swallow_reply(after=b":e:k")
    elif lost == 2:
        fault_proxy.swallow_reply(after=b":marks")

    assert await flaky.remember("k", factory) == "value"
    assert await joined[0] == "value"

    assert fault_proxy.swallowed == 1
    assert source.calls == 1
    assert metrics.meter("cache", "things").counts["waited"] == 0
    assert await cache.get("k") == "value"


async def test_a_lost_reply_to_giving_a_lease_back(
    make_cache: MakeCache, flaky: Cache[Any], fault_proxy: FaultProxy, source: Any
) -> None:
    async def broken() -> None:
        fault_proxy.swallow_reply(after=b":e:k")
        raise LookupError

    with pytest.raises(LookupError):
        await flaky.remember("k", broken)
    assert fault_proxy.swallowed == 1
    assert await make_cache(hard_timeout=timedelta(seconds=1)).remember("k", source) == "value"


async def test_everything_survives_a_server_that_forgot_the_scripts(
    cache: Cache[Any], connections: RedisConnections, source: Any
) -> None:
    async def forget() -> None:
        await connections.execute("SCRIPT", "FLUSH")

    await forget()
    await cache.set("k", 1, tags=["t"])
    await forget()
    assert await cache.get_many(["k"]) == {"k": 1}
    await forget()
    assert await cache.increment("k") == 2
    await forget()
    assert await cache.pull("k") == 2
    await forget()
    await cache.invalidate_tags("t")

    async def factory() -> Any:
        await forget()
        return await source()

    await forget()
    assert await cache.remember("k", factory, tags=["t"]) == "value"
    assert await cache.get("k") == "value"
