"""T2: ten thousand cancellations, one connection, and everybody gets their own answer."""

import asyncio
import random

import pytest
import redis.exceptions
from rediscore.client import RedisConnections
from rediscore.multiplexing import Multiplexer

CANCELS = 10_000
TASKS = 100


def multiplexer(connections: RedisConnections) -> Multiplexer:
    assert isinstance(connections._transport, Multiplexer)
    return connections._transport


@pytest.mark.proves("T2")
async def test_random_cancellations_leave_nothing_behind(
    shared: RedisConnections, connections: RedisConnections, key_prefix: str
) -> None:
    chance = random.Random(20)
    cancels = 0

    async def caller(number: int) -> None:
        nonlocal cancels
        turn = 0
        while cancels < CANCELS:
            turn += 1
            mine = f"{number}:{turn}:{'x' * chance.randrange(300)}"
            asked = asyncio.ensure_future(shared.execute("ECHO", mine))
            if chance.random() < 0.6:
                for _ in range(chance.randrange(3)):
                    await asyncio.sleep(0)
                cancels += asked.cancel()
                await asyncio.wait({asked})
            else:
                assert await asked == mine.encode()
            if turn % 10 == 0:
                with pytest.raises(redis.exceptions.ResponseError, match="nosuch"):
                    await shared.execute(f"nosuch{number}")

    await asyncio.gather(*(caller(number) for number in range(TASKS)))

    assert cancels >= CANCELS
    answers = await asyncio.gather(*(shared.execute("ECHO", str(number)) for number in range(200)))
    assert answers == [str(number).encode() for number in range(200)]
    connection = multiplexer(shared)._connection
    assert connection is not None
    assert connection.waiting == 0
    clients = await connections.commands.client_list()
    mine = [client for client in clients if client["name"] == key_prefix]
    assert len(mine) == 1


@pytest.mark.proves("T2")
async def test_a_cancelled_command_may_still_be_done_and_its_reply_is_nobodys(
    shared: RedisConnections, key_prefix: str
) -> None:
    await shared.execute("PING")
    write = asyncio.ensure_future(shared.execute("SET", key_prefix, "1", "PX", 5000))
    await asyncio.sleep(0)
    write.cancel()

    assert await shared.execute("GET", key_prefix) == b"1"


@pytest.mark.proves("T2")
async def test_who_is_cancelled_while_connecting_leaves_the_attempt_to_others(
    shared: RedisConnections, connections: RedisConnections, key_prefix: str
) -> None:
    callers = [asyncio.ensure_future(shared.execute("ECHO", str(number))) for number in range(20)]
    await asyncio.sleep(0)
    for caller in callers[:10]:
        caller.cancel()

    assert await asyncio.gather(*callers[10:]) == [str(number).encode() for number in range(10, 20)]
    clients = await connections.commands.client_list()
    assert sum(client["name"] == key_prefix for client in clients) == 1
