"""Every pattern on a cluster of three primaries: each operation once, under names of different slots."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Literal

import pytest
from pydantic import BaseModel
from redis.exceptions import ResponseError
from rediscore.breaker import CircuitBreaker, CircuitOpen, SharedBreakers
from rediscore.cache import Cache, Local
from rediscore.client import RedisConnections
from rediscore.keys import KeySpace
from rediscore.leaderboards import Leaderboard
from rediscore.lock import Locks, LockTimeout
from rediscore.pubsub import LiveChannels
from rediscore.queue import PriorityQueue
from rediscore.ratelimit import GCRA, RateLimiter, SlidingLog, SlidingWindow
from rediscore.records import HashRecords
from rediscore.sessions import Sessions
from rediscore.sets import Segments
from rediscore.settings import RedisSettings
from rediscore.streams import Reason
from rediscore.testing import eventually
from rediscore.testing.streams import Recorder, StreamKit

pytestmark = [pytest.mark.proves("CLUSTER"), pytest.mark.xdist_group("cluster")]

NAMES = ("one", "two", "three", "four")
"""Four slots: hardly ever all of one primary."""
MINUTE = timedelta(minutes=1)


class Thing(BaseModel):
    size: int = 0
    colour: str = "red"


@pytest.fixture(params=["pool", "multiplexed"])
async def cluster(
    cluster_settings: RedisSettings, request: pytest.FixtureRequest
) -> AsyncIterator[RedisConnections]:
    made = RedisConnections(cluster_settings.model_copy(update={"transport": request.param}))
    yield made
    await made.aclose()


@pytest.fixture
def keys(key_prefix: str) -> KeySpace:
    return KeySpace(key_prefix)


@pytest.mark.proves("R16")
async def test_queue(cluster: RedisConnections, keys: KeySpace) -> None:
    for name in NAMES:
        queue = PriorityQueue(
            cluster,
            name,
            keys=keys,
            head_start={"standard": timedelta(0), "express": MINUTE},
            capacity=10,
        )
        waiting = asyncio.ensure_future(queue.claim_wait("w", wait=timedelta(seconds=20)))
        await queue.add("a", b"body")
        claim = await waiting
        assert claim is not None
        await queue.extend(claim.entry_id, claim.token)
        await queue.nack(claim.entry_id, claim.token)
        await queue.add("b", priority="express", delay=MINUTE)
        await queue.add("c")
        assert await queue.contains("c")
        assert await queue.position("c") is not None
        assert await queue.peek(5)
        second = await queue.claim("w")
        assert second is not None
        await queue.release(second.entry_id, second.token)
        third = await queue.claim("w")
        assert third is not None
        await queue.ack(third.entry_id, third.token)
        await queue.remove("b")
        await queue.recover()
        assert (await queue.stats()).leased == 0


@pytest.mark.proves("R18")
@pytest.mark.parametrize("mode", ["ordered", "competing"])
async def test_streams(
    cluster: RedisConnections, key_prefix: str, mode: Literal["ordered", "competing"]
) -> None:
    """All keys of a stream share its slot, also the dead letters, because its name has a hash tag."""
    for name in NAMES[:2]:
        kit = StreamKit(cluster, f"{key_prefix}-{name}")
        with pytest.raises(ValueError, match="needs a hash tag"):
            kit.streams().subscriber(kit.stream)
        kit.stream = f"{{{kit.stream}}}"
        recorder = Recorder()
        recorder.failing["bad"] = ValueError("no")
        streams = kit.streams()
        streams.subscriber(kit.stream, mode=mode, retry=kit.quick).on_any(recorder)
        await streams.start()
        try:
            await kit.publish(*(kit.event(event, f"subject-{event}") for event in ("a", "bad", "b")))
            await kit.settled(within=40)
            assert recorder.calls == {"a": 1, "b": 1, "bad": 3}
            assert [letter.reason for letter in await kit.dead()] == [Reason.HANDLER_FAILED]
            assert await kit.last_id() == "b"
            assert await kit.publisher.trim(kit.stream, keep=1) >= 0
            recorder.failing.clear()
            assert await kit.box().redrive_all(kit.group, by="luigi", per_second=100) == 1
            await eventually(lambda recorder=recorder: recorder.calls["bad"] == 4, within=40)  # type: ignore[misc]
            assert await kit.box().counts() == {}
        finally:
            await kit.stop()


@pytest.mark.proves("R2", "R5", "R7")
async def test_cache(cluster: RedisConnections, keys: KeySpace) -> None:
    """Its own tests go further; here: several shards, tags, and a local level that hears of changes."""
    cache = Cache[Thing](cluster, "things", Thing, keys=keys, ttl=MINUTE, shards=4, local=Local())
    try:
        await cache.set_many({name: Thing(size=1) for name in NAMES}, tags=["t"])
        assert len(await cache.get_many(NAMES)) == len(NAMES)
        assert await cache.remember("other", lambda: Thing(size=7)) == Thing(size=7)
        await cache.invalidate_tags("t")
        assert await cache.get_many(NAMES) == {}
        await cache.delete_prefix("oth")
        assert not await cache.has("other")
        await cache.clear()
    finally:
        await cache.aclose()


@pytest.mark.proves("R10")
async def test_lock(cluster: RedisConnections, keys: KeySpace) -> None:
    async with Locks(cluster, keys=keys) as locks:
        for name in NAMES:
            async with locks.lock(name, ttl=MINUTE) as lease:
                with pytest.raises(LockTimeout):
                    async with locks.lock(name, wait=timedelta(milliseconds=50)):
                        pass
                waiting = asyncio.ensure_future(_token(locks, name))
                await asyncio.sleep(0.05)
            assert await waiting > lease.token


async def _token(locks: Locks, name: str) -> int:
    async with locks.lock(name, wait=timedelta(seconds=20)) as lease:
        return lease.token


@pytest.mark.proves("R11")
async def test_shared_breaker(cluster: RedisConnections, keys: KeySpace) -> None:
    async with SharedBreakers(cluster, keys=keys) as shared:
        for name in NAMES:
            breaker = CircuitBreaker(name, failures=1, minimum_calls=1, shared=shared)
            with pytest.raises(ValueError, match="down"):
                async with breaker:
                    raise ValueError("down")
            with pytest.raises(CircuitOpen):
                async with breaker:
                    pass


@pytest.mark.proves("R12")
async def test_rate_limiter(cluster: RedisConnections, keys: KeySpace) -> None:
    limiter = RateLimiter(
        cluster,
        "api",
        SlidingWindow(3, MINUTE),
        SlidingLog(4, MINUTE),
        GCRA(5, MINUTE),
        keys=keys,
        when_unavailable="deny",
        patience=timedelta(seconds=20),
    )
    for name in NAMES:
        assert [(await limiter.hit(name)).allowed for _ in range(4)] == [True, True, True, False]
        assert not (await limiter.peek(name)).allowed
        await limiter.reset(name)
        assert (await limiter.hit(name)).allowed


@pytest.mark.proves("R9")
async def test_records(cluster: RedisConnections, keys: KeySpace) -> None:
    records = HashRecords(cluster, "things", Thing, keys=keys, ttl=MINUTE)
    for name in NAMES:
        await records.write(name, Thing())
        await records.update(name, size=2)
        found = await records.read(name)
        assert found is not None
        assert found.value == Thing(size=2)
        assert await records.field(name, "size") == 2
        assert await records.delete(name)


@pytest.mark.proves("R13")
async def test_sessions(cluster: RedisConnections, keys: KeySpace) -> None:
    sessions = Sessions(cluster, "web", Thing, keys=keys, idle=MINUTE, absolute=MINUTE)
    for user in NAMES:
        first, second = [await sessions.create(user, Thing()) for _ in range(2)]
        await sessions.update(first.id, size=3)
        rotated = await sessions.rotate(first.id)
        loaded = await sessions.load(rotated)
        assert loaded is not None
        assert loaded.data.size == 3
        assert len(await sessions.list(user)) == 2
        await sessions.destroy(second.id)
        assert await sessions.destroy_all(user) == 1


@pytest.mark.proves("R14")
async def test_leaderboard(cluster: RedisConnections, keys: KeySpace) -> None:
    for name in NAMES:
        board = Leaderboard(cluster, name, keys=keys)
        for score, member in enumerate(("a", "b", "c")):
            await board.submit(member, score)
        assert (await board.increment("a", 10)).rank == 1
        assert [standing.member for standing in await board.top(2)] == ["a", "c"]
        assert len(await board.around("c", 1)) == 3
        assert await board.rank("c") is not None
        assert await board.score("c") == 2
        assert await board.percentile("c") is not None
        assert await board.remove("a")
        assert await board.count() == 2


@pytest.mark.proves("R15")
async def test_sets(cluster: RedisConnections, keys: KeySpace) -> None:
    for name in NAMES:
        segments = Segments(cluster, name, keys=keys)
        await segments["new"].add("ann", "bob", ttl=MINUTE)
        await segments["rich"].add("bob", "cat", ttl=MINUTE)
        assert await segments.count(segments["new"] | segments["rich"]) == 3
        assert [member async for member in segments.members(segments["new"] & segments["rich"])] == ["bob"]
        assert (await segments.overlap(segments["new"], segments["rich"])).both == 1
        assert await segments.store("campaign", segments["new"] - segments["rich"], MINUTE) == 1
        assert await segments.audience("campaign").contains("ann")
        await segments["new"].remove("ann")
        await segments["new"].clear()


@pytest.mark.proves("R19")
async def test_live_channels(cluster: RedisConnections, key_prefix: str) -> None:
    channels = LiveChannels(cluster)
    try:
        for name in NAMES:
            async with channels.subscription(f"{key_prefix}:{name}") as messages:
                await channels.publish(f"{key_prefix}:{name}", b"heard")
                async with asyncio.timeout(20):
                    assert await anext(aiter(messages)) == b"heard"
    finally:
        await channels.aclose()


@pytest.mark.proves("R7")
async def test_invalidations(cluster: RedisConnections, key_prefix: str) -> None:
    """A change on any primary is heard."""
    heard: set[bytes] = set()
    ready = asyncio.Event()

    class Listener:
        def invalidated(self, changed: list[bytes] | tuple[bytes, ...] | None) -> None:
            heard.update(changed or ())

        def interrupted(self) -> None: ...

        def resumed(self) -> None:
            ready.set()

    cluster.invalidations.watch(f"{key_prefix}:", Listener())  # type: ignore[arg-type]
    async with asyncio.timeout(20):
        await ready.wait()
    for name in NAMES:
        await cluster.execute("SET", f"{key_prefix}:{name}", 1, "EX", 60)

    await eventually(lambda: heard == {f"{key_prefix}:{name}".encode() for name in NAMES}, within=40)


async def test_keys_without_a_common_tag_are_refused(cluster: RedisConnections, key_prefix: str) -> None:
    """So the tests above would have noticed."""
    with pytest.raises(ResponseError, match="slot"):
        await cluster.execute("DEL", *(f"{key_prefix}:{name}" for name in NAMES))
