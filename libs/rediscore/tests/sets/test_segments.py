"""Segments are combined over what lives, in parts of any size, and stored as audiences."""

import asyncio
from datetime import timedelta

import pytest
from rediscore.client import RedisConnections
from rediscore.keys import KeySpace
from rediscore.sets import ExpiringSet, Overlap, Segments
from rediscore.testing import ServerTime

pytestmark = pytest.mark.proves("R15")

MINUTE = timedelta(minutes=1)


@pytest.fixture
async def segments(connections: RedisConnections, keys: KeySpace, now: ServerTime) -> Segments:
    return Segments(connections, "customers", keys=keys, part=3, now_ms=now)


async def fill(segments: Segments, now: ServerTime) -> None:
    """new: a-f, of which a and b have expired; big: d-i; lapsed: b, i, j."""
    await segments["new"].add(*"ab", ttl=MINUTE)
    await segments["new"].add(*"cdef", ttl=3 * MINUTE)
    await segments["big"].add(*"defghi", ttl=2 * MINUTE)
    await segments["lapsed"].add(*"bij", ttl=5 * MINUTE)
    now.advance(minutes=1)


@pytest.mark.proves("LB4")
async def test_algebra_of_what_lives(segments: Segments, now: ServerTime) -> None:
    await fill(segments, now)
    new, big, lapsed, none = (segments[name] for name in ("new", "big", "lapsed", "none"))
    cases = {
        new: "cdef",
        new | big: "cdefghi",
        big | new | lapsed: "bcdefghij",
        new & big: "def",
        big & new & lapsed: "",
        new - big: "c",
        (new | lapsed) - big: "bcj",
        (new | lapsed) & (big | lapsed): "bdefij",
        new - (big - lapsed): "c",
        big - (new & big): "ghi",
        none | none: "",
        new - none: "cdef",
        new | new: "cdef",
    }
    for expression, members in cases.items():
        found = [member async for member in segments.members(expression)]
        assert sorted(found) == list(members)
        assert await segments.count(expression) == len(members)
        assert await segments.store("x", expression, MINUTE) == len(members)
        assert sorted([m async for m in segments.audience("x").members()]) == list(members)


async def test_overlap(segments: Segments, now: ServerTime) -> None:
    await fill(segments, now)

    overlap = await segments.overlap(segments["new"], segments["big"])

    assert overlap == Overlap(left=4, right=6, both=3)
    assert (overlap.either, overlap.similarity) == (7, 3 / 7)
    assert await segments.overlap(segments["none"], segments["big"]) == Overlap(0, 6, 0)
    assert (await segments.overlap(segments["none"], segments["none"])).similarity == 0


async def test_pages_of_an_expression_give_everybody_who_stays(segments: Segments) -> None:
    many = [f"m{n:03}" for n in range(60)]
    for n, member in enumerate(many):
        await segments["seen"].add(member, ttl=(n + 1) * MINUTE)
    await segments["current"].add(*many[20:], ttl=100 * MINUTE)
    lapsed = segments["seen"] - segments["current"]

    async def pages(limit: int) -> list[list[str]]:
        found, after = await segments.page(lapsed, limit)
        all_pages = [found]
        while after is not None:
            await segments["seen"].remove(many[59])  # somebody leaves
            found, after = await segments.page(lapsed, limit, after)
            all_pages.append(found)
        return all_pages

    for limit in (1, 7, 1000):
        found = await pages(limit)
        assert sorted(member for one in found for member in one) == many[:20]
        assert max(map(len, found)) <= limit
    assert await segments.page(segments["none"], 5) == ([], None)
    for wrong in ("?", "bm9uZQ==", "MCAxIG0="):
        with pytest.raises(ValueError, match="page before"):
            await segments.page(lapsed, 5, wrong)
    with pytest.raises(ValueError, match="1 to 1000"):
        await segments.page(lapsed, 0)


async def test_an_audience_is_a_picture_with_an_end(
    segments: Segments, now: ServerTime, connections: RedisConnections, key_prefix: str
) -> None:
    await fill(segments, now)
    audience = segments.audience("spring")
    assert await segments.store("spring", segments["new"] | segments["big"], 10 * MINUTE) == 7
    now.advance(minutes=9)  # the segments are long empty
    assert await segments.count(segments["new"] | segments["big"]) == 0
    assert await audience.count() == 7
    assert await audience.contains("i")
    assert 9 * 60_000 < await connections.execute("PTTL", audience.key) <= 10 * 60_000
    ttls = [
        await connections.execute("PTTL", key)
        async for key in connections.commands.scan_iter(match=f"{key_prefix}:*", count=1000)
    ]
    assert min(ttls) > 0  # nothing stays for ever
    assert await segments.count(audience - segments["lapsed"]) == 7

    assert await segments.store("spring", segments["new"], MINUTE) == 0
    assert await audience.count() == 0


async def test_an_audience_changes_at_once_or_not_at_all(
    segments: Segments, now: ServerTime, connections: RedisConnections, keys: KeySpace
) -> None:
    await segments["old"].add("x", ttl=MINUTE)
    await segments["many"].add(*(f"m{n}" for n in range(100)), ttl=MINUTE)
    await segments.store("spring", segments["old"], MINUTE)
    seen = set()

    storing = asyncio.create_task(segments.store("spring", segments["many"], MINUTE))
    while not storing.done():
        seen.add(await segments.audience("spring").count())
    assert await storing == 100
    assert seen <= {1, 100}
    again = asyncio.create_task(segments.store("spring", segments["old"], MINUTE))
    await asyncio.sleep(0)
    again.cancel()
    with pytest.raises(asyncio.CancelledError):
        await again
    assert await segments.audience("spring").count() == 100


async def test_expressions_of_others_are_refused(
    segments: Segments, connections: RedisConnections, keys: KeySpace
) -> None:
    foreign = ExpiringSet(connections, "new", keys=keys)
    too_many = segments["s"]
    for n in range(40):
        too_many |= segments[f"s{n}"]  # type: ignore[assignment]
    for expression in (segments["new"] | foreign, too_many):
        with pytest.raises(ValueError, match="segments"):
            await segments.count(expression)
    with pytest.raises(ValueError, match="own segments"):
        await segments.overlap(foreign, segments["new"])
    for wrong in (lambda: segments[""], lambda: Segments(connections, "c", keys=keys, part=1001)):
        with pytest.raises(ValueError, match=r"name|1000"):
            wrong()


@pytest.mark.proves("CLUSTER")
async def test_on_a_cluster(cluster_connections: RedisConnections, keys: KeySpace) -> None:
    for family in ("customers", "suppliers", "drivers"):
        segments = Segments(cluster_connections, family, keys=keys, part=2)
        await segments["a"].add(*"uvwx", ttl=MINUTE)
        await segments["b"].add(*"wxyz", ttl=MINUTE)
        assert await segments.store("all", segments["a"] | segments["b"], MINUTE) == 6
        assert (await segments.overlap(segments["a"], segments["b"])).both == 2
        assert await segments.count(segments.audience("all") - segments["a"]) == 2
