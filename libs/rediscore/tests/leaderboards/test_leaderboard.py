"""Ranks are exact: ties in their order, ends without off-by-one, scores that doubles can tell apart."""

import asyncio
from dataclasses import astuple
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from os import environ
from pathlib import Path
from typing import Any

import pytest
from rediscore.client import RedisConnections
from rediscore.keys import KeySpace
from rediscore.leaderboards import (
    LARGEST_SCORE,
    Leaderboard,
    Period,
    PeriodOver,
    ScoreOutOfRange,
    Standing,
)
from rediscore.testing import ManualClock
from rediscore.testing.nursery import Nursery

pytestmark = pytest.mark.proves("R14")

SCORES = {"ann": 30, "bob": 20, "cy": 20, "di": 20, "ed": 10}


@pytest.fixture
def board(connections: RedisConnections, keys: KeySpace) -> Leaderboard:
    return Leaderboard(connections, "game", keys=keys)


def told(standings: list[Standing]) -> list[tuple[Any, ...]]:
    return [astuple(standing) for standing in standings]


@pytest.mark.parametrize(
    ("ties", "ranks"), [("first", [1, 2, 3, 4, 5]), ("shared", [1, 2, 2, 2, 5]), ("dense", [1, 2, 2, 2, 3])]
)
@pytest.mark.parametrize("better", ["higher", "lower"])
async def test_ranks_of_ties(
    connections: RedisConnections, keys: KeySpace, better: Any, ties: Any, ranks: list[int]
) -> None:
    board = Leaderboard(connections, "game", keys=keys, better=better, ties=ties)
    sign = 1 if better == "higher" else -1
    for member, score in SCORES.items():
        standing = await board.submit(member, sign * score)
        assert standing == await board.rank(member)
    everyone = [(m, sign * s, r) for (m, s), r in zip(SCORES.items(), ranks, strict=True)]

    assert told(await board.top(10)) == everyone
    for offset in range(6):
        for n in (1, 2, 5):
            assert told(await board.top(n, offset=offset)) == everyone[offset : offset + n]
    for place, member in enumerate(SCORES):
        for n in (0, 1, 2, 4, 9):
            assert told(await board.around(member, n)) == everyone[max(0, place - n) : place + n + 1]


async def test_an_empty_board_and_who_is_not_on_it(board: Leaderboard) -> None:
    assert await board.top(5) == []
    assert await board.around("x", 2) == []
    assert await board.count() == 0
    assert [await board.rank("x"), await board.score("x"), await board.percentile("x")] == [None] * 3
    assert not await board.remove("x")
    await board.submit("solo", 1)
    assert told(await board.around("solo", 3)) == [("solo", 1, 1)]
    assert await board.percentile("solo") == 100
    assert await board.remove("solo")
    assert await board.count() == 0


@pytest.mark.proves("LB1")
async def test_the_place_among_equals_is_that_of_arrival(board: Leaderboard) -> None:
    for member in ("zoe", "ann", "bob"):
        await board.submit(member, 5)
    await board.submit("zoe", 5)  # has it already: no new arrival
    await board.submit("ann", 4)
    await board.increment("ann")  # back at 5: now the last to reach it

    assert [standing.member for standing in await board.top(3)] == ["zoe", "bob", "ann"]


async def test_only_if_better(board: Leaderboard, connections: RedisConnections, keys: KeySpace) -> None:
    assert (await board.submit("a", 5, only_if_better=True)).score == 5
    assert (await board.submit("a", 4, only_if_better=True)).score == 5
    assert (await board.submit("a", 6, only_if_better=True)).score == 6
    laps = Leaderboard(connections, "laps", keys=keys, better="lower")
    assert (await laps.submit("a", 61.5, only_if_better=True)).score == 61.5
    assert (await laps.submit("a", 62, only_if_better=True)).score == 61.5
    assert (await laps.submit("a", 60.25, only_if_better=True)).score == 60.25


async def test_percentile(board: Leaderboard) -> None:
    for member, score in SCORES.items():
        await board.submit(member, score)

    assert [await board.percentile(member) for member in SCORES] == [100, 80, 80, 80, 20]


@pytest.mark.proves("LB2")
async def test_scores_that_doubles_cannot_tell_apart_are_refused(board: Leaderboard) -> None:
    await board.submit("a", LARGEST_SCORE)
    await board.submit("b", LARGEST_SCORE - 1)
    await board.submit("c", -LARGEST_SCORE)
    before = await board.top(10)
    assert [int(standing.score) for standing in before] == [2**53 - 1, 2**53 - 2, -(2**53) + 1]
    for score in (2**53, 2**53 + 1, -(2**53), 10**30, float("inf"), float("nan")):
        with pytest.raises(ScoreOutOfRange):
            await board.submit("d", score)
    for member, by in (("a", 1), ("b", 2), ("b", 0.1), ("c", -1), ("a", LARGEST_SCORE)):
        with pytest.raises(ScoreOutOfRange):
            await board.increment(member, by)

    assert await board.top(10) == before
    assert (await board.increment("b")).score == LARGEST_SCORE


@pytest.mark.proves("LB1")
async def test_ties_by_arrival_under_four_writers(
    nursery: Nursery, connections: RedisConnections, keys: KeySpace, key_prefix: str, redis_url: str
) -> None:
    """Each process submits its members one after the other with the same score, so in the order of the
    board the members of a process are in their own order; and that order is the same ever after."""
    script = Path(__file__).parent / "writer_process.py"
    writers = [
        await nursery.start(script, key_prefix, name, env=environ | {"REDIS_URL": redis_url})
        for name in "abcd"
    ]
    async with asyncio.timeout(60):
        assert [await writer.wait() for writer in writers] == [0] * 4
    board = Leaderboard(connections, "game", keys=keys)

    order = [standing.member for standing in await board.top(1000)]

    assert len(order) == await board.count() == 200
    for name in "abcd":
        assert [m for m in order if m[0] == name] == [f"{name}{n}" for n in range(50)]
    assert [(await board.rank(member)).rank for member in order[::40]] == list(range(1, 201, 40))  # type: ignore[union-attr]
    for member in order[::7]:
        await board.submit(member, 10)
    assert [standing.member for standing in await board.top(1000)] == order


@pytest.mark.proves("LB3")
async def test_one_answer_is_of_one_instant(connections: RedisConnections, keys: KeySpace) -> None:
    """Members overtake each other all the time; in no answer has a better rank a worse score."""
    board = Leaderboard(connections, "game", keys=keys, ties="dense")
    members = "abcdef"
    for n, member in enumerate(members):
        await board.submit(member, n)
    stop = False

    async def overtake(member: str) -> None:
        step = 0
        while not stop:
            step += 1
            await board.increment(member, (step * 7 + ord(member)) % 11 - 5)

    async with asyncio.TaskGroup() as group:
        for member in members:
            group.create_task(overtake(member))
        for n in range(150):
            page = await board.around(members[n % 6], 2)
            own = [standing for standing in page if standing.member == members[n % 6]]
            assert len(own) == 1
            for one, following in pairwise(page):
                assert one.score >= following.score
                assert following.rank - one.rank == (one.score > following.score)
        stop = True


@pytest.mark.parametrize(
    ("period", "moment", "label", "end"),
    [
        (Period.DAILY, "2026-12-31T23:59:59", "2026-12-31", "2027-01-01"),
        (Period.WEEKLY, "2026-12-31T23:59:59", "2026-W53", "2027-01-04"),
        (Period.WEEKLY, "2027-01-03T00:00:00", "2026-W53", "2027-01-04"),
        (Period.WEEKLY, "2027-01-04T00:00:00", "2027-W01", "2027-01-11"),
        (Period.MONTHLY, "2026-11-30T12:00:00", "2026-11", "2026-12-01"),
        (Period.MONTHLY, "2026-12-31T12:00:00", "2026-12", "2027-01-01"),
        (Period.MONTHLY, "2028-02-29T12:00:00", "2028-02", "2028-03-01"),
    ],
)
def test_periods_are_those_of_the_calendar(period: Period, moment: str, label: str, end: str) -> None:
    at = datetime.fromisoformat(moment).replace(tzinfo=UTC)
    until = datetime.fromisoformat(end).replace(tzinfo=UTC)

    assert period.label(at) == label
    assert period.end(at) == until
    assert period.end(at, 3) == period.end(period.end(period.end(until) or at) or at)
    assert period.label(until) != label == period.label(until - timedelta(microseconds=1))


async def test_a_board_per_day_that_goes_by_itself(
    connections: RedisConnections, keys: KeySpace, key_prefix: str
) -> None:
    clock = ManualClock(datetime.now(UTC))
    board = Leaderboard(connections, "day", keys=keys, period=Period.DAILY, keep=2, ties="dense", clock=clock)
    today = clock.now()
    await board.submit("a", 1)
    await board.submit("b", 2, at=today - timedelta(days=1))

    assert [standing.member for standing in await board.top(9)] == ["a"]
    assert [s.member for s in await board.top(9, at=today - timedelta(days=1))] == ["b"]
    with pytest.raises(PeriodOver):
        await board.submit("c", 1, at=today - timedelta(days=3))
    with pytest.raises(ValueError, match="aware"):
        await board.submit("c", 1, at=datetime.now())  # noqa: DTZ005
    midnight = today.replace(hour=0, minute=0, second=0, microsecond=0).timestamp() * 1000
    expiries = set()
    async for key in connections.commands.scan_iter(match=f"{key_prefix}:*", count=1000):
        if b"-once:" not in key:
            expiries.add(await connections.execute("PEXPIRETIME", key) - midnight)
    assert expiries == {2 * 86_400_000, 3 * 86_400_000}


async def test_bad_questions(board: Leaderboard, connections: RedisConnections, keys: KeySpace) -> None:
    for ask in (board.top(0), board.top(1001), board.top(1, offset=-1), board.around("a", -1)):
        with pytest.raises(ValueError, match=r"1000|500"):
            await ask
    with pytest.raises(ValueError, match="ties"):
        Leaderboard(connections, "x", keys=keys, ties="none")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="kept"):
        Leaderboard(connections, "x", keys=keys, keep=-1)


@pytest.mark.proves("CLUSTER")
async def test_on_a_cluster(cluster_connections: RedisConnections, keys: KeySpace) -> None:
    clock = ManualClock(datetime.now(UTC))
    for n in range(6):
        board = Leaderboard(
            cluster_connections, f"b{n}", keys=keys, ties="dense", period=Period.DAILY, clock=clock
        )
        for member, score in SCORES.items():
            await board.submit(member, score)
        assert [s.rank for s in await board.around("cy", 2)] == [1, 2, 2, 2, 3]
        assert await board.remove("cy")
        assert await board.count() == 4
