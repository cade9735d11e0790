"""A set whose members expire one by one."""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from rediscore.client import RedisConnections
from rediscore.keys import KeySpace
from rediscore.metrics import Metrics, meter_of
from rediscore.requests import request_id
from rediscore.scripts import Argument, Script
from rediscore.sets.expression import Expression

PART = 1000
"""Members that one script looks at, at most: a bigger set takes several, so nobody waits long."""


class ExpiringSet(Expression):
    """Members, each with a time of its own when it expires. Who has expired never counts.

    Every verb is one atomic script and one round trip per 1000 members, is safe to send twice, and is sent
    again by itself when the connection fails (`RedisSettings.retry`); then redis-py's error is raised.
    Times are those of the server. What has expired is cleared up as the set is used, at most 1000 members
    a time, and the key goes with the last member.

    Args:
        name: of the set, unique within `keys` (and its family).
        family: sets of one family share a cluster slot, so `Segments` can combine them.
        now_ms: only for tests, instead of the server's clock.
    """

    __slots__ = ("_connections", "_meter", "_now_ms", "_once", "family", "key", "name")

    def __init__(
        self,
        connections: RedisConnections,
        name: str,
        *,
        keys: KeySpace,
        family: str | None = None,
        kind: str = "set",
        metrics: Metrics | None = None,
        now_ms: Callable[[], int] | None = None,
    ) -> None:
        self.name = name
        self.family = family or name
        self.key = f"{keys.key(kind, tag=self.family)}:{name}"
        self._connections = connections
        self._once = keys.key(f"{kind}-once", tag=self.family)
        self._now_ms = now_ms
        # Named by the family: there may be any number of sets in it.
        self._meter = meter_of(metrics, "sets", self.family)

    async def add(self, *members: str, ttl: timedelta, shorten: bool = False) -> int:
        """Put members in, to live for `ttl` from now.

        Who is in already and lives longer keeps that, unless `shorten`: then all live exactly so long.

        Returns: how many were not in (or expired).
        """
        ttl_ms = _ms(ttl)
        added = 0
        for part in _parts(members):
            added += await self._write("add", ttl_ms, "" if shorten else "GT", *part)
        self._meter.counts["added"] += added
        return added

    async def remove(self, *members: str) -> int:
        """Take members out. Returns: how many lived."""
        removed = 0
        for part in _parts(members):
            removed += await self._write("remove", *part)
        return removed

    async def contains(self, member: str) -> bool:
        """Whether the member lives."""
        return await self.expires_at(member) is not None

    async def expires_at(self, member: str) -> datetime | None:
        """When the member expires; None when it does not live."""
        (expiry,) = await self._read("expiries", member)
        return datetime.fromtimestamp(float(expiry) / 1000, UTC) if expiry else None

    async def count(self) -> int:
        """How many members live."""
        count: int = await self._read("count")
        return count

    async def members(self) -> AsyncIterator[str]:
        """Those that live, in the order in which they expire. A round trip per 1000.

        Who is in all the time comes for sure; who is renewed meanwhile may come twice.
        """
        place: Sequence[Argument] = ("", "")
        while True:
            *place, rows = await self._read("page", *place, PART)
            for member in rows[::2]:
                yield member.decode()
            if not place[0]:
                return

    async def clear(self) -> None:
        """Take all out."""
        await self._connections.execute("UNLINK", self.key, idempotent=True)

    async def _write(self, verb: str, *args: Argument) -> int:
        keys = [self.key, f"{self._once}:{request_id()}"]
        reply: int = await self._run(verb, keys, self._connections.settings.repeat_ms, *args)
        return reply

    async def _read(self, verb: str, *args: Argument) -> Any:
        return await self._run(verb, [self.key], *args)

    async def _run(self, verb: str, keys: Sequence[str], *args: Argument) -> Any:
        script = Script.load("rediscore.sets", f"lua/{verb}.lua")
        now: Argument = "" if self._now_ms is None else self._now_ms()
        return await script(self._connections, keys=keys, args=[now, *args], idempotent=True)


def _parts(members: Iterable[str]) -> Iterator[Sequence[str]]:
    left = iter(members)
    while part := tuple(islice(left, PART)):
        yield part


def _ms(ttl: timedelta) -> int:
    if ttl < timedelta(milliseconds=1):
        raise ValueError("A member lives for some time: ttl > 0.")
    return round(ttl.total_seconds() * 1000)
