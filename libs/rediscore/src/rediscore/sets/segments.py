"""Named sets that can be combined, and audiences stored from them."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from rediscore.client import RedisConnections
from rediscore.keys import KeySpace
from rediscore.metrics import Metrics
from rediscore.requests import request_id
from rediscore.scripts import Argument, Script
from rediscore.sets.expiring_set import PART, ExpiringSet
from rediscore.sets.expression import Expression, compile_expression

_MOST_SETS = 32
_MOST_PARTS = 10
_BEGINNING: Sequence[Argument] = (1, "", "")


@dataclass(frozen=True, slots=True)
class Overlap:
    """How two sets lie to each other, in members that live."""

    left: int
    right: int
    both: int

    @property
    def either(self) -> int:
        """How many are in at least one of them."""
        return self.left + self.right - self.both

    @property
    def similarity(self) -> float:
        """`both` as a share of `either` (Jaccard); 0 when both are empty."""
        return self.both / self.either if self.either else 0.0


class Segments:
    """A family of `ExpiringSet`s, and expressions over them: `segments["a"] | segments["b"] - segments["c"]`
    (Python takes `-` before `&` before `|`).

    Only members that live take part. An expression is worked out in parts of 1000 members: one round trip
    and one instant for up to 1000 candidates, else each part is of its own instant. Then who is in the
    sets all the time counts rightly; of who comes, goes or moves meanwhile either is possible.

    Args:
        name: of the family; all its sets share a cluster slot.
        part: members per script, at most 1000.
        now_ms: only for tests, instead of the server's clock.
    """

    def __init__(
        self,
        connections: RedisConnections,
        name: str,
        *,
        keys: KeySpace,
        part: int = PART,
        metrics: Metrics | None = None,
        now_ms: Callable[[], int] | None = None,
    ) -> None:
        if not 1 <= part <= PART:
            raise ValueError(f"A part is 1 to {PART} members.")
        self.name = name
        self._connections = connections
        self._key_space = keys
        self._part = part
        self._metrics = metrics
        self._now_ms = now_ms

    def __getitem__(self, name: str) -> ExpiringSet:
        """The segment of that name. No round trip: a segment without members is empty."""
        return self._set(name, "segment")

    def audience(self, name: str) -> ExpiringSet:
        """What `store` stored under that name; empty when nothing was, or its time is over."""
        return self._set(name, "audience")

    async def count(self, expression: Expression) -> int:
        """How many members it has."""
        return sum([part[0] async for part in self._evaluate(expression, "count")])

    async def members(self, expression: Expression) -> AsyncIterator[str]:
        """Its members, in no order. Who is renewed meanwhile may come twice."""
        async for _, *members in self._evaluate(expression, "members"):
            for member in members:
                yield member.decode()

    async def page(
        self, expression: Expression, limit: int, after: str | None = None
    ) -> tuple[list[str], str | None]:
        """Up to `limit` members (1 to 1000), and what to pass as `after` for the next ones: None at the end.

        A page may be short, even empty, when few candidates are members: it takes ten round trips at most.
        Who is in the sets all the time is on some page; who is renewed meanwhile may come twice.

        Raises: ValueError for an `after` that no page gave.
        """
        if not 1 <= limit <= PART:
            raise ValueError(f"A page has 1 to {PART} members.")
        place, members = _place(after), list[str]()
        for _ in range(_MOST_PARTS):
            *place, _, found = await self._part_of(expression, "members", place, part=limit - len(members))
            members += [member.decode() for member in found]
            if place[0] == b"0":
                return members, None
            if len(members) == limit:
                break
        return members, _after(place)

    async def overlap(self, left: ExpiringSet, right: ExpiringSet) -> Overlap:
        """How many members are in the one, in the other and in both. Goes through `left`."""
        keys = [self._key_of(left), self._key_of(right)]
        place: Sequence[Argument] = ("", "")
        lefts = both = 0
        while True:
            looked_at, common, rights, *place = await self._run("overlap", keys, *place, self._part)
            lefts, both = lefts + looked_at, both + common
            if not place[0]:
                return Overlap(lefts, rights, both)

    async def store(self, name: str, expression: Expression, ttl: timedelta) -> int:
        """Keep the members as they are now as an audience for `ttl`, in the place of one of that name.

        The audience changes when all is worked out; three round trips, and one more per 1000 members.
        Cancelled or failed, it leaves the old one as it is.

        Returns: how many members it has.
        """
        if ttl < timedelta(milliseconds=1):
            raise ValueError("An audience lives for some time: ttl > 0.")
        expiry = await self._now() + round(ttl.total_seconds() * 1000)
        building = self._once("building")
        async for _ in self._evaluate(expression, expiry, building):
            pass
        keys = [building, self.audience(name).key, self._once("publish")]
        count: int = await self._run("publish", keys, self._connections.settings.repeat_ms)
        return count

    async def _evaluate(
        self, expression: Expression, mode: Argument, target: str | None = None
    ) -> AsyncIterator[list[Any]]:
        """Count and members of each part."""
        place: Sequence[Argument] = _BEGINNING
        while place[0] != b"0":
            *place, count, members = await self._part_of(expression, mode, place, target=target)
            yield [count, *members]

    async def _part_of(
        self,
        expression: Expression,
        mode: Argument,
        place: Sequence[Argument],
        *,
        part: int | None = None,
        target: str | None = None,
    ) -> tuple[Any, Any, Any, int, list[bytes]]:
        """Where to go on, count and members of the part at a place."""
        keys, program, bases = compile_expression(expression, self._key_of)
        if len(keys) > _MOST_SETS:
            raise ValueError(f"An expression has at most {_MOST_SETS} different segments.")
        reply = await self._run(
            "evaluate",
            [target or keys[0], self._once("part"), *keys],
            *place,
            part or self._part,
            " ".join(map(str, bases)),
            mode,
            self._connections.settings.repeat_ms,
            *program,
        )
        number, expiry, member, count, *members = reply
        return number, expiry, member, count, members

    def _set(self, name: str, kind: str) -> ExpiringSet:
        if not name:
            raise ValueError("A segment needs a name.")
        return ExpiringSet(
            self._connections,
            name,
            keys=self._key_space,
            family=self.name,
            kind=kind,
            metrics=self._metrics,
            now_ms=self._now_ms,
        )

    def _key_of(self, node: Expression) -> str:
        if not isinstance(node, ExpiringSet) or node.family != self.name:
            raise ValueError(f"Expressions of {self.name} are over its own segments: segments['name'].")
        return node.key

    def _once(self, what: str) -> str:
        return f"{self._key_space.key('segments', what, tag=self.name)}:{request_id()}"

    async def _now(self) -> int:
        if self._now_ms is not None:
            return self._now_ms()
        seconds, micros = await self._connections.execute("TIME", idempotent=True)
        return int(seconds) * 1000 + int(micros) // 1000

    async def _run(self, verb: str, keys: Sequence[str], *args: Argument) -> Any:
        script = Script.load("rediscore.sets", f"lua/{verb}.lua")
        now: Argument = "" if self._now_ms is None else self._now_ms()
        return await script(self._connections, keys=keys, args=[now, *args], idempotent=True)


def _after(place: Sequence[Any]) -> str:
    number, expiry, member = (part.decode() for part in place)
    return urlsafe_b64encode(f"{number} {expiry} {member}".encode()).decode()


def _place(after: str | None) -> Sequence[Argument]:
    if after is None:
        return _BEGINNING
    try:
        number, expiry, member = urlsafe_b64decode(after).decode().split(" ", 2)
        if int(number) < 1 or (expiry and float(expiry) < 0):
            raise ValueError
    except ValueError:
        raise ValueError("Pass as `after` what the page before gave.") from None
    return number, expiry, member
