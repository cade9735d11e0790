"""The projections in Redis: written by one script, read by the calls."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from rediscore.breaker import CircuitBreaker
from rediscore.client import RedisConnections
from rediscore.keys import KeySpace
from rediscore.scripts import Script

from analytics_service.fold import Hour, Tally

_APPLY = Script.load("analytics_service.lua", "apply.lua")
_TAG = "analytics:projections"


@dataclass(frozen=True)
class Checkpoint:
    """The last archived event that is counted. The id tells another archive's row from ours."""

    seq: int = 0
    event_id: str = ""

    def __str__(self) -> str:
        return f"{self.seq}:{self.event_id}"

    @classmethod
    def parse(cls, text: str) -> "Checkpoint":
        seq, _, event_id = text.partition(":")
        return cls(int(seq), event_id)


@dataclass(frozen=True)
class State:
    """How far the projections are. `checkpoint` is None when Redis holds none."""

    checkpoint: Checkpoint | None
    unreadable: int


class Projections:
    """Counts in Redis, all under one hash tag, that can be folded from the archive at any time.

    Every call raises redis-py's ConnectionError or TimeoutError while Redis is away; those that somebody
    waits for (`popular`, `hours`) raise CircuitOpen instead when the breaker knows that.
    """

    def __init__(
        self,
        connections: RedisConnections,
        keys: KeySpace,
        *,
        breaker: CircuitBreaker,
        idle: timedelta = timedelta(days=30),
    ) -> None:
        self._connections = connections
        self._breaker = breaker
        self._state = keys.key("state", tag=_TAG)
        self._popularity = keys.key("popularity", tag=_TAG)
        self._hours = keys.key("hours", tag=_TAG)
        self._idle = idle

    async def state(self) -> State:
        """One round trip."""
        checkpoint, unreadable = await self._connections.execute(
            "HMGET", self._state, "checkpoint", "unreadable", idempotent=True
        )
        return State(Checkpoint.parse(_text(checkpoint)) if checkpoint else None, int(unreadable or 0))

    async def apply(
        self, tally: Tally, *, start: Checkpoint | None, end: Checkpoint, fresh: bool, oldest: date
    ) -> bool:
        """Count `tally`, which covers what lies after `start` up to `end`, and move the checkpoint.

        All in one step, so it counts once whatever happens to this process or to the reply. False when
        the checkpoint is not `start` (any more): nothing has changed then. One round trip.
        """
        pizzas = list(_flat((pizza, count) for pizza, count in tally.pizzas.items()))
        hours = list(_flat((str(hour), count) for hour, count in tally.hours.items() if hour.day >= oldest))
        arguments = [
            str(start) if start else "", str(end), int(fresh), oldest.isoformat(),
            int(self._idle.total_seconds() * 1000), tally.unreadable,
            len(pizzas) // 2, *pizzas, len(hours) // 2, *hours,
        ]  # fmt: skip
        keys = [self._state, self._popularity, self._hours]
        return bool(await _APPLY(self._connections, keys=keys, args=arguments))

    async def popular(self, limit: int) -> list[tuple[str, int]]:
        """The most ordered pizzas and how many of each; equals by id. One round trip."""
        async with self._breaker:
            found = await self._connections.execute(
                "ZRANGE", self._popularity, 0, limit - 1, "WITHSCORES", idempotent=True
            )
        return [(_text(pizza), -int(score)) for pizza, score in found]

    async def hours(self) -> Mapping[Hour, int]:
        """All counts of all days that are kept. One round trip."""
        async with self._breaker:
            found = await self._connections.execute("HGETALL", self._hours, idempotent=True)
        return {Hour.parse(_text(field)): int(count) for field, count in found.items()}


def _text(reply: bytes | str) -> str:
    return reply.decode() if isinstance(reply, bytes) else reply


def _flat(pairs: Iterable[tuple[str, int]]) -> Iterator[str | int]:
    for pair in pairs:
        yield from pair
