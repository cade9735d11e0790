"""How far a group is behind."""

from collections.abc import Sequence
from dataclasses import dataclass

from redis.exceptions import ResponseError

from rediscore.client import RedisConnections
from rediscore.streams.dead_letter_box import DeadLetterBox
from rediscore.streams.sources import sources_of


@dataclass(frozen=True, slots=True)
class Backlog:
    """Where the events of a group are.

    Attributes:
        lag: entries not read yet; None: Redis cannot tell after entries were cut out.
        pending: entries read and not acknowledged, those sent again included.
        oldest_pending: age in seconds of the oldest of these; of one that was sent again, since then.
        sent_again: dead letters that were sent again and have not ended.
        dead: dead letters.
    """

    lag: int | None
    pending: int
    oldest_pending: float
    sent_again: int = 0
    dead: int = 0


async def read_backlog(connections: RedisConnections, streams: Sequence[str], group: str) -> Backlog:
    """The backlog of a group over all partitions. Eight round trips per partition at most.

    A stream or group that does not exist counts as nothing.
    """
    lag: int | None = 0
    pending = sent_again = dead = 0
    oldest = 0.0
    for stream in streams:
        box = DeadLetterBox(connections, stream)
        dead += (await box.counts()).get(group, 0)
        sent_again += await box.on_their_way(group)
        for source in sources_of(stream, group):
            behind, held, age = await _read(connections, source.stream, group)
            pending += held
            oldest = max(oldest, age)
            if not source.own:
                lag = None if lag is None or behind is None else lag + behind
    return Backlog(lag, pending, oldest, sent_again, dead)


async def _read(connections: RedisConnections, stream: str, group: str) -> tuple[int | None, int, float]:
    """Lag, pending entries and the age of the oldest of them."""
    commands = connections.commands
    try:
        groups = await commands.xinfo_groups(stream)
    except ResponseError as error:
        if "no such key" not in str(error):
            raise
        return 0, 0, 0.0
    for info in groups:
        if info["name"] != group.encode():
            continue
        if not info["pending"]:
            return info["lag"], 0, 0.0
        first = (await commands.xpending(stream, group))["min"]
        if first is None:  # acknowledged since
            return info["lag"], 0, 0.0
        seconds, micros = await commands.time()
        return info["lag"], info["pending"], seconds + micros / 1e6 - int(first.partition(b"-")[0]) / 1000
    return 0, 0, 0.0
