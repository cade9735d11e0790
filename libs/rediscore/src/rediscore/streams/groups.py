"""The groups of a stream, as its owner sees them: who is behind, who is gone."""

from dataclasses import dataclass
from functools import partial
from typing import Any

from redis.exceptions import ResponseError

from rediscore.client import RedisConnections
from rediscore.retry import run_idempotent
from rediscore.scripts import Script
from rediscore.streams.sources import redrive_stream

_FORGET = Script.load("rediscore.streams.lua", "forget_group.lua")


@dataclass(frozen=True, slots=True)
class GroupState:
    """One group.

    Attributes:
        lag: entries it has not read; None: Redis cannot tell.
        pending: entries it has read and not acknowledged.
        idle: seconds since a consumer of it was last there; None: none ever was. What grows without end is
            a group that nobody reads: it keeps the stream from being trimmed.
    """

    name: str
    lag: int | None
    pending: int
    idle: float | None


async def read_groups(connections: RedisConnections, stream: str) -> list[GroupState]:
    """All groups of a stream. One round trip, and one per group."""
    commands: Any = connections.commands
    try:
        groups = await run_idempotent(lambda: commands.xinfo_groups(stream))
    except ResponseError as error:
        if "no such key" not in str(error):
            raise
        return []
    states = []
    for group in groups:
        name = group["name"].decode()
        consumers = await run_idempotent(partial(commands.xinfo_consumers, stream, name))
        idle = min((consumer["idle"] / 1000 for consumer in consumers), default=None)
        states.append(GroupState(name, group["lag"], group["pending"], idle))
    return states


async def forget_group(
    connections: RedisConnections, stream: str, group: str, *, unread_for: float = 3600.0
) -> bool:
    """Remove a group that nobody reads any more, with what was sent again to it; its dead letters stay. One
    round trip. False when there is none.

    Should a reader of it come back, it makes the group again and starts at the oldest entry there is.

    Raises: ValueError when a consumer of it was there within `unread_for` seconds.
    """
    reply: int = await _FORGET(
        connections, keys=[stream, redrive_stream(stream, group)], args=[group, round(unread_for * 1000)]
    )
    if reply < 0:
        raise ValueError(f"Group {group} of {stream} is being read: stop its readers first.")
    return reply == 1
