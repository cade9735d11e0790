"""A leaderboard whose ranks are exact."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from rediscore.client import RedisConnections
from rediscore.clock import Clock, SystemClock
from rediscore.keys import KeySpace
from rediscore.leaderboards.errors import PeriodOver, ScoreOutOfRange
from rediscore.leaderboards.periods import Period
from rediscore.metrics import Metrics, meter_of
from rediscore.requests import request_id
from rediscore.scripts import Argument, Script

Better = Literal["higher", "lower"]
Ties = Literal["first", "shared", "dense"]

LARGEST_SCORE = 2**53 - 1
_LARGEST_PAGE = 1000
_ARRIVAL = 17  # digits and a blank before the member


@dataclass(frozen=True, slots=True)
class Standing:
    """A member's place; rank and score were true at the same instant."""

    member: str
    score: float
    rank: int
    """From 1."""


class Leaderboard:
    """Members by score, best first; equal scores in the order in which they were reached.

    With a period there is a board per day, week or month (UTC), which expires by itself. Which one is
    meant is said by `at` (an aware time, such as that of the event), or is the present one by `clock`.

    Every verb is one atomic script and one round trip, is safe to send twice, and is sent again by itself
    when the connection fails (`RedisSettings.retry`); then redis-py's error is raised.

    Args:
        name: of the board, unique within `keys`.
        better: which score is better. Another value is another board.
        ties: ranks of equal scores. `first`: 1 2 3 4, who reached it first is before. `shared`: 1 2 2 4.
            `dense`: 1 2 2 3, which costs a sorted set of the different scores; another board than the others.
        period: how long a board collects.
        keep: how many periods more a board can be read after its own; ALL_TIME needs none.
        clock: says which period is the present one.
    """

    def __init__(
        self,
        connections: RedisConnections,
        name: str,
        *,
        keys: KeySpace,
        better: Better = "higher",
        ties: Ties = "first",
        period: Period = Period.ALL_TIME,
        keep: int = 1,
        metrics: Metrics | None = None,
        clock: Clock | None = None,
    ) -> None:
        if better not in ("higher", "lower") or ties not in ("first", "shared", "dense"):
            raise ValueError("better is 'higher' or 'lower'; ties are 'first', 'shared' or 'dense'.")
        if keep < 0:
            raise ValueError("A board is kept for 0 or more periods after its own.")
        self.name = name
        self._connections = connections
        self._key_space = keys
        self._better, self._ties = better, ties
        self._period, self._keep = period, keep
        self._clock = clock or SystemClock()
        self._meter = meter_of(metrics, "leaderboards", name)

    async def submit(
        self,
        member: str,
        score: float,
        *,
        only_if_better: bool = False,
        at: datetime | None = None,
        request: str | None = None,
    ) -> Standing:
        """Give the member this score. The score it has already: it keeps its place among equals.

        Args:
            only_if_better: leave a score that is as good or better as it is.
            at: a time in the period meant.
            request: an id for this call, to repeat it from outside: the same one within
                `RedisSettings.repeat_ms` gets the same answer and changes nothing.

        Returns: where the member is now. Raises: ScoreOutOfRange beyond ±(2^53 − 1), PeriodOver.
        """
        return await self._submit(member, "better" if only_if_better else "set", score, at, request)

    async def increment(
        self, member: str, by: float = 1, *, at: datetime | None = None, request: str | None = None
    ) -> Standing:
        """Add to the member's score, which begins with 0. Arguments as of `submit`.

        Raises: ScoreOutOfRange, also when the score is so large that `by` would vanish; PeriodOver. Then
            nothing has changed.
        """
        return await self._submit(member, "add", by, at, request)

    async def top(self, n: int, *, offset: int = 0, at: datetime | None = None) -> list[Standing]:
        """The `n` best (1 to 1000), after the first `offset`."""
        if not 1 <= n <= _LARGEST_PAGE or offset < 0:
            raise ValueError(f"A page has 1 to {_LARGEST_PAGE} places, after 0 or more.")
        reply = await self._run("page", self._keys(at), "from", offset, n)
        return self._standings(reply)

    async def around(self, member: str, n: int, *, at: datetime | None = None) -> list[Standing]:
        """The member with its `n` neighbours on each side (0 to 500), fewer at an end; empty without it."""
        if not 0 <= n <= _LARGEST_PAGE // 2:
            raise ValueError(f"There are 0 to {_LARGEST_PAGE // 2} neighbours on each side.")
        reply = await self._run("page", self._keys(at), "around", member, n)
        return self._standings(reply)

    async def rank(self, member: str, *, at: datetime | None = None) -> Standing | None:
        """Where the member is, or None when it is not on the board."""
        found = await self.around(member, 0, at=at)
        return found[0] if found else None

    async def score(self, member: str, *, at: datetime | None = None) -> float | None:
        """The member's score, or None when it is not on the board."""
        standing = await self.rank(member, at=at)
        return None if standing is None else standing.score

    async def count(self, *, at: datetime | None = None) -> int:
        """How many are on the board. One ZCARD."""
        count: int = await self._connections.execute("ZCARD", self._keys(at)[0], idempotent=True)
        return count

    async def percentile(self, member: str, *, at: datetime | None = None) -> float | None:
        """How many percent of the board have no better score than the member: the best has 100, the last
        of four 25. None when it is not on the board."""
        reply = await self._run("percentile", self._keys(at), member)
        if not reply:
            return None
        members, ahead = reply
        return float(100 * (members - ahead) / members)

    async def remove(self, member: str, *, at: datetime | None = None, request: str | None = None) -> bool:
        """Take the member off the board. Returns: whether this call did it."""
        keys = self._keys(at)
        once = self._request(keys, "remove", request)
        removed = await self._run("remove", [*keys, once], self._connections.settings.repeat_ms, member)
        return bool(removed)

    async def _submit(
        self, member: str, how: str, number: float, at: datetime | None, request: str | None
    ) -> Standing:
        # Compared before it becomes a double: 2^53 + 1 would become 2^53.
        if not math.isfinite(number) or abs(number) > LARGEST_SCORE:
            raise self._out_of_range(member)
        moment = at or self._clock.now()
        ends = self._period.end(moment, self._keep)
        keys = self._keys(moment)
        done, *answer = await self._run(
            "submit",
            [*keys, self._request(keys, how, request)],
            self._connections.settings.repeat_ms,
            0 if ends is None else round(ends.timestamp() * 1000),
            member,
            how,
            repr(number),
        )
        if not done:
            if answer[0] == b"over":
                raise PeriodOver(f"The board {self.name} of {self._period.label(moment)} has expired.")
            raise self._out_of_range(member)
        self._meter.counts["submitted"] += 1
        score, ahead = answer
        return Standing(member, float(score), ahead + 1)

    async def _run(self, verb: str, keys: Sequence[str], *args: Argument) -> Any:
        script = Script.load("rediscore.leaderboards", f"lua/{verb}.lua")
        return await script(
            self._connections, keys=keys, args=[self._better, self._ties, *args], idempotent=True
        )

    def _keys(self, at: datetime | None) -> list[str]:
        label = self._period.label(at or self._clock.now())
        # Boards that are built differently must not share keys.
        kind = f"{self._better}-dense" if self._ties == "dense" else self._better
        tag = f"{self.name}:{label}"
        parts = ("order", "arrivals", "distinct", "holders")
        return [self._key_space.key("leaderboard", kind, part, tag=tag) for part in parts]

    def _request(self, keys: Sequence[str], verb: str, request: str | None) -> str:
        return f"{keys[0]}-once:{verb}:{request or request_id()}"

    def _standings(self, reply: Sequence[Any]) -> list[Standing]:
        first, ahead, *rows = reply
        standings: list[Standing] = []
        rank = ahead + 1
        for place, (entry, text) in enumerate(zip(rows[::2], rows[1::2], strict=True), start=first + 1):
            score = float(text)
            if standings and score != standings[-1].score:
                rank = rank + 1 if self._ties == "dense" else place
            elif self._ties == "first":
                rank = place
            standings.append(Standing(entry[_ARRIVAL:].decode(), score, rank))
        return standings

    def _out_of_range(self, member: str) -> ScoreOutOfRange:
        return ScoreOutOfRange(
            f"The score of {member} in {self.name} would leave ±(2^53 − 1), where doubles lose units: "
            "use a coarser unit."
        )
