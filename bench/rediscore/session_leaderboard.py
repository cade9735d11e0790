"""Sessions: load and slide. Leaderboards: a member with its neighbours among 50,000."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from rediscore.client import RedisConnections
from rediscore.keys import KeySpace
from rediscore.leaderboards import Leaderboard
from rediscore.sessions import Sessions

from bench.rediscore.harness import TASKS, Bed, Case, Operation, Role, Table, cases

MEMBERS = 50_000
NEIGHBOURS = 5
MIDDLE = "member-25000"
KEYS = KeySpace("bench")


@dataclass
class Cart:
    """What a session holds: 0.4 kB."""

    customer: str
    items: list[str]


async def tables(bed: Bed, stack: AsyncExitStack) -> Sequence[Table]:
    await bed.raw.set("session", "x" * 400, ex=1800)
    on_pool, multiplexed = await load_session(bed.pool), await load_session(bed.multiplexed)

    async def two_calls() -> None:
        await bed.raw.get("session")
        await bed.raw.expire("session", 1800)

    def load(tasks: int) -> Table:
        add = cases(bed, tasks=tasks)
        goal = {"ratio": 1.2} if tasks == 1 else {}
        return Table(
            f"session, load and slide, {tasks} task{'s' if tasks > 1 else ''}",
            [
                add("GET", Role.RAW, partial(bed.raw.get, "session")),
                add("GETEX", Role.RAW, partial(bed.raw.getex, "session", ex=1800)),
                add("GET and EXPIRE", Role.RAW, two_calls),
                add("ours, pool", Role.OURS, on_pool, **goal),
                add("ours, multiplexed", Role.OURS, multiplexed, **goal),
            ],
            baseline="GET",
        )

    return [load(1), load(TASKS), await neighbours(bed)]


async def load_session(connections: RedisConnections) -> Operation:
    sessions = Sessions(
        connections,
        f"sessions-{connections.settings.transport}",
        Cart,
        keys=KEYS,
        idle=timedelta(minutes=30),
        absolute=timedelta(days=1),
    )
    made = await sessions.create("guest", Cart("guest", [f"pizza-{number:04}-large" for number in range(20)]))
    assert await sessions.load(made.id) is not None
    return partial(sessions.load, made.id)


async def neighbours(bed: Bed) -> Table:
    for start in range(0, MEMBERS, 5000):
        await bed.raw.zadd("board", {f"member-{number}": number for number in range(start, start + 5000)})
    boards = [Leaderboard(way, way.settings.transport, keys=KEYS) for way in (bed.pool, bed.multiplexed)]
    filler = Leaderboard(bed.multiplexed, "pool", keys=KEYS)
    for board in (filler, boards[1]):
        await fill(board)

    async def two_calls() -> None:
        rank = await bed.raw.zrevrank("board", MIDDLE)
        await bed.raw.zrevrange("board", rank - NEIGHBOURS, rank + NEIGHBOURS, withscores=True)

    add = cases(bed, tasks=1)
    made: list[Case] = [
        add("GET", Role.RAW, partial(bed.raw.get, "session")),
        add("ZREVRANK, then ZREVRANGE", Role.RAW, two_calls),
        add("ours, pool", Role.OURS, partial(boards[0].around, MIDDLE, NEIGHBOURS), ratio=1.45),
        add("ours, multiplexed", Role.OURS, partial(boards[1].around, MIDDLE, NEIGHBOURS), ratio=1.45),
    ]
    return Table(
        f"leaderboard, {NEIGHBOURS} neighbours on each side of one in {MEMBERS:,}", made, baseline="GET"
    )


async def fill(board: Leaderboard) -> None:
    for start in range(0, MEMBERS, 1000):
        await asyncio.gather(
            *(board.submit(f"member-{number}", number) for number in range(start, start + 1000))
        )
    assert len(await board.around(MIDDLE, NEIGHBOURS)) == 2 * NEIGHBOURS + 1
