"""Submits fifty members with the same score. Arguments: key prefix, name. The
address is in REDIS_URL."""

import asyncio
import sys

from rediscore.client import RedisConnections
from rediscore.keys import KeySpace
from rediscore.leaderboards import Leaderboard
from rediscore.settings import RedisSettings


async def main(prefix: str, name: str) -> None:
    connections = RedisConnections(RedisSettings())
    board = Leaderboard(connections, "game", keys=KeySpace(prefix))
    for n in range(50):
        await board.submit(f"{name}{n}", 3)
        await board.submit(f"{name}{n}", 10)
    await connections.aclose()


asyncio.run(main(*sys.argv[1:]))
