"""Members expire one by one, and who has expired never counts."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from rediscore.client import RedisConnections
from rediscore.keys import KeySpace
from rediscore.sets import ExpiringSet
from rediscore.testing import ServerTime

pytestmark = pytest.mark.proves("R15")

MINUTE = timedelta(minutes=1)


@pytest.fixture
async def timed(connections: RedisConnections, keys: KeySpace, now: ServerTime) -> ExpiringSet:
    return ExpiringSet(connections, "online", keys=keys, now_ms=now)


async def listed(members: ExpiringSet) -> list[str]:
    return [member async for member in members.members()]


@pytest.mark.proves("LB4")
async def test_each_member_expires_by_itself(timed: ExpiringSet, now: ServerTime) -> None:
    await timed.add("a", ttl=MINUTE)
    now.advance(seconds=30)
    assert await timed.add("b", "c", ttl=MINUTE) == 2
    assert await timed.count() == 3
    now.advance(seconds=29.999)
    assert await timed.contains("a")
    now.advance(seconds=0.001)  # a's last moment

    assert not await timed.contains("a")
    assert await timed.expires_at("a") is None
    assert await timed.expires_at("b") == datetime.fromtimestamp((now.ms + 30_000) / 1000, UTC)
    assert await timed.count() == 2
    assert await listed(timed) == ["b", "c"]
    assert await timed.remove("a") == 0
    assert await timed.add("a", ttl=MINUTE) == 1


async def test_adding_again_lives_longer_and_never_shorter_unless_asked(
    timed: ExpiringSet, now: ServerTime
) -> None:
    await timed.add("a", ttl=MINUTE)
    assert await timed.add("a", ttl=10 * MINUTE) == 0
    long = await timed.expires_at("a")
    await timed.add("a", "b", ttl=MINUTE)
    assert await timed.expires_at("a") == long

    await timed.add("a", ttl=MINUTE, shorten=True)

    assert await timed.expires_at("a") == await timed.expires_at("b")


async def test_the_key_lives_as_long_as_its_last_member_and_is_trimmed(
    timed: ExpiringSet, connections: RedisConnections, now: ServerTime
) -> None:
    async def ttl() -> float:
        left: int = await connections.execute("PTTL", timed.key)
        return round(left / 60_000, 1)

    await timed.add(*(f"short{n}" for n in range(50)), ttl=MINUTE)
    await timed.add("long", ttl=10 * MINUTE)
    await timed.add("b", ttl=2 * MINUTE)
    assert await ttl() == 10
    await timed.remove("long")
    assert await ttl() == 2
    now.advance(seconds=61)

    await timed.add("c", ttl=MINUTE)

    assert await connections.execute("ZCARD", timed.key) == 2
    await timed.remove("b", "c")
    assert await connections.execute("EXISTS", timed.key) == 0


async def test_on_the_servers_clock(connections: RedisConnections, keys: KeySpace) -> None:
    members = ExpiringSet(connections, "now", keys=keys)
    await members.add("a", ttl=timedelta(hours=1))
    await members.add("b", ttl=timedelta(milliseconds=1))
    await asyncio.sleep(0.01)

    assert await listed(members) == ["a"]
    assert await members.count() == 1
    expiry = await members.expires_at("a")
    assert expiry is not None
    assert timedelta(minutes=59) < expiry - datetime.now(UTC) <= timedelta(hours=1)
    await members.clear()
    assert await members.count() == 0
    with pytest.raises(ValueError, match="ttl"):
        await members.add("a", ttl=timedelta(0))


async def test_many_members_come_in_parts_while_others_come_and_go(
    timed: ExpiringSet, now: ServerTime
) -> None:
    everyone = {f"m{n}" for n in range(2500)}
    assert await timed.add(*sorted(everyone), ttl=MINUTE) == 2500
    assert await timed.add(ttl=MINUTE) == 0
    seen: list[str] = []
    async for member in timed.members():
        seen.append(member)
        if len(seen) == 1000:  # the one that the next part goes on after is gone, others have moved
            await timed.remove(member, "m1")
            await timed.add("m10", "m99", "new", ttl=2 * MINUTE)
        if len(seen) == 2500:
            now.advance(seconds=1)

    assert everyone <= set(seen)
    assert len(await listed(timed)) == await timed.count() == 2499
    assert await timed.remove(*everyone) == 2498
