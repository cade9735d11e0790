"""A score whose reply is lost counts once, and undoes nothing that came before it was sent again."""

import pytest
from rediscore.client import RedisConnections
from rediscore.keys import KeySpace
from rediscore.leaderboards import Leaderboard, ScoreOutOfRange, Standing
from rediscore.testing import FaultProxy

pytestmark = pytest.mark.proves("R14", "T1")


@pytest.fixture
async def board(connections: RedisConnections, keys: KeySpace) -> Leaderboard:
    return Leaderboard(connections, "game", keys=keys)


@pytest.fixture
async def flaky(through_proxy: RedisConnections, keys: KeySpace) -> Leaderboard:
    return Leaderboard(through_proxy, "game", keys=keys)


async def test_lost_reply_to_increment(flaky: Leaderboard, fault_proxy: FaultProxy) -> None:
    fault_proxy.swallow_reply()

    assert await flaky.increment("a", 2.5) == Standing("a", 2.5, 1)

    assert fault_proxy.swallowed == 1
    assert await flaky.score("a") == 2.5


async def test_lost_reply_to_submit_and_to_remove(
    flaky: Leaderboard, board: Leaderboard, fault_proxy: FaultProxy
) -> None:
    async def another() -> None:
        await board.submit("a", 9)

    fault_proxy.on_swallow = another
    fault_proxy.swallow_reply()
    assert (await flaky.submit("a", 5)).score == 5
    assert await board.score("a") == 9
    fault_proxy.swallow_reply()

    assert await flaky.remove("a")

    assert fault_proxy.swallowed == 2
    assert await board.score("a") == 9


async def test_the_same_request_counts_once(board: Leaderboard) -> None:
    first = await board.increment("a", 3, request="event-1")
    await board.increment("a", 4, request="event-2")

    assert await board.increment("a", 3, request="event-1") == first
    assert await board.score("a") == 7
    with pytest.raises(ScoreOutOfRange):
        await board.increment("a", 2**53 - 1, request="event-3")
    assert await board.score("a") == 7
