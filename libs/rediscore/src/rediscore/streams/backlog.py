"""How far a group is behind."""

from collections.abc import Sequence
from dataclasses import dataclass

from redis.exceptions import ResponseError

from rediscore.client import RedisConnections


@dataclass(frozen=True, slots=True)
class Backlog:
    """Entries not read yet (None: Redis cannot tell after entries were cut out), entries read and not
    acknowledged, and the age in seconds of the oldest of those."""

    lag: int | None
    pending: int
    oldest_pending: float


async def read_backlog(connections: RedisConnections, streams: Sequence[str], group: str) -> Backlog:
    """The backlog of a group over all partitions. Three round trips per partition at most.

    A stream or group that does not exist counts as nothing.
    """
    commands = connections.commands
    lag: int | None = 0
    pending = 0
    oldest = 0.0
    for stream in streams:
        try:
            groups = await commands.xinfo_groups(stream)
        except ResponseError as error:
            if "no such key" not in str(error):
                raise
            continue
        for info in groups:
            if info["name"] != group.encode():
                continue
            lag = None if lag is None or info["lag"] is None else lag + info["lag"]
            if info["pending"]:
                pending += info["pending"]
                first = (await commands.xpending(stream, group))["min"]
                seconds, micros = await commands.time()
                age = seconds + micros / 1e6 - int(first.partition(b"-")[0]) / 1000
                oldest = max(oldest, age)
    return Backlog(lag, pending, oldest)
