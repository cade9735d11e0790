"""The projections in Redis: generations, of which one is live, written by scripts under one hash tag."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

from rediscore.breaker import CircuitBreaker
from rediscore.client import RedisConnections
from rediscore.keys import KeySpace
from rediscore.scripts import Argument, Script
from rediscore.sets import Segments

from analytics_service.fold import LAYOUT
from analytics_service.segments import Move, midnight
from analytics_service.tally import (
    BOARDS,
    TOTALS,
    Cell,
    Table,
    Tally,
    board_table,
    customer_table,
)

_TAG: Final = "analytics:projections"
_ROLLING: Final = timedelta(days=400)
"""How long keys without an end of their own live after their last change: longer than any segment looks."""
HOLD: Final = timedelta(seconds=5)
"""How long the live generation may stand still; a builder that was killed must not stop the counts."""
_CLEAR_AFTER: Final = timedelta(seconds=60)
_PAGE: Final = 1000
_AT_ONCE: Final = 8
_NOON: Final = datetime(2026, 1, 1, 12, tzinfo=UTC)
_ALWAYS: Final = (TOTALS, *(board_table(board, "all", _NOON) for board in BOARDS))
"""Tables of all time: kept alive by every step, or they would go while the checkpoint stays."""


class NotCountedYet(Exception):  # noqa: N818 - named by what happened
    """There is no live generation yet: the archive is being folded, and half a count would be a wrong one."""


@dataclass(frozen=True)
class Checkpoint:
    """The last archived event that is counted. The id tells another archive's row from ours."""

    seq: int = 0
    event_id: str = ""

    def __str__(self) -> str:
        return f"{self.seq}:{self.event_id}" if self.seq else ""

    @classmethod
    def parse(cls, text: str) -> "Checkpoint":
        seq, _, event_id = text.partition(":")
        return cls(int(seq or 0), event_id)


@dataclass(frozen=True)
class Generation:
    """One whole set of projections, and how far it has counted."""

    name: str
    checkpoint: Checkpoint = Checkpoint()


@dataclass(frozen=True)
class Control:
    """Which generations there are. `retired`: those out of use, by the server's time (ms)."""

    live: Generation | None = None
    shadow: Generation | None = None
    retired: Mapping[str, int] = field(default_factory=dict)


class Projections:
    """Counts in Redis that can be folded from the archive at any time.

    Every call raises redis-py's ConnectionError or TimeoutError while Redis is away. Every verb may be sent
    twice, by this process or by another.
    """

    def __init__(
        self, connections: RedisConnections, keys: KeySpace, *, breaker: CircuitBreaker, layout: int = LAYOUT
    ) -> None:
        self.connections = connections
        self.breaker = breaker
        self.layout = layout
        # The layout is in every key: a version that counts otherwise finds nothing and folds anew.
        keys = KeySpace(keys.prefix, layout)
        self.segments = Segments(connections, _TAG, keys=keys)
        self._prefix = keys.key("generation", tag=_TAG)
        self._control = keys.key("control", tag=_TAG)

    async def control(self) -> Control:
        """One round trip."""
        found = await self.connections.execute("HGETALL", self._control, idempotent=True)
        fields = {_text(name): _text(value) for name, value in found.items()}

        def generation(role: str) -> Generation | None:
            name = fields.get(role)
            return Generation(name, Checkpoint.parse(fields.get(f"checkpoint:{name}", ""))) if name else None

        retired = {
            name.removeprefix("retired:"): int(at)
            for name, at in fields.items()
            if name.startswith("retired:")
        }
        return Control(generation("live"), generation("shadow"), retired)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[str]:
        """The name of the live generation, for reads that somebody waits for. One round trip.

        It stays readable for a minute after another took its place. Raises: NotCountedYet without one;
        CircuitOpen instead of waiting when the breaker knows that Redis is away.
        """
        async with self.breaker:
            live = await self.connections.execute("HGET", self._control, "live", idempotent=True)
            if live is None:
                raise NotCountedYet
            yield _text(live)

    async def begin(self, name: str) -> None:
        """Build this generation beside the live one, and no other. One round trip."""
        await self._run("begin", [self._control], name, _ms(_ROLLING))

    async def hold(self, name: str) -> None:
        """Let the live generation stand still until the shadow `name` has taken its place, `HOLD` at most.

        Without such a shadow nothing changes. One round trip.
        """
        await self._run("hold", [self._control], name, _ms(HOLD))

    async def swap(self, name: str, checkpoint: Checkpoint) -> bool:
        """Make the shadow live, if it and the live one have counted exactly so far. One round trip."""
        return bool(await self._run("swap", [self._control], name, str(checkpoint)))

    async def drop(self, generation: Generation) -> None:
        """Take a generation out of use whose checkpoint is not in the archive. One round trip."""
        await self._run("drop", [self._control], generation.name, str(generation.checkpoint))

    async def apply(
        self, generation: Generation, end: Checkpoint, tally: Tally, moves: Iterable[Move], now: datetime
    ) -> bool:
        """Add `tally` and `moves`, which cover what lies after the generation's checkpoint up to `end`.

        With the checkpoint in one step, so it counts once whatever happens to this process or to the reply.
        False when the checkpoint is another one (by now), or the generation out of use or held: nothing has
        changed then. One round trip.
        """
        tables: dict[Table, list[Cell]] = {table: [] for table in _ALWAYS}
        for cell in tally:
            tables.setdefault(cell.table, []).append(cell)
        sets: dict[str, list[Move]] = {}
        for move in moves:
            sets.setdefault(move.segment, []).append(move)

        keys = [self._control]
        arguments: list[Argument] = [generation.name, str(generation.checkpoint), str(end), _ms(_ROLLING)]
        for table, cells in tables.items():
            keys.append(self.key(generation.name, table.name))
            arguments += ["board" if table.ranked else "fields", _runs_out(table), len(cells)]
            for cell in cells:
                # Boards count downwards: ascending order is then the best first, equals by their names.
                arguments += [cell.field, -tally[cell] if table.ranked else tally[cell]]
        for segment, changes in sets.items():
            keys.append(self.segments[f"{generation.name}:{segment}"].key)
            arguments += ["set", f"+{_ms(_ROLLING)}", len(changes)]
            for move in changes:
                gone = move.until is None or midnight(move.until) <= now
                arguments += [move.customer_id, "" if gone or move.until is None else _epoch_ms(move.until)]
        return bool(await self._run("apply", keys, *arguments))

    async def customers(self, generation: str, ids: Sequence[str]) -> dict[str, dict[str, int]]:
        """The tables of these customers. A round trip each, eight at a time."""
        tables = [customer_table(customer_id) for customer_id in ids]
        found = await self.tables(generation, tables)
        return {customer_id: found[table] for customer_id, table in zip(ids, tables, strict=True)}

    async def tables(self, generation: str, tables: Sequence[Table]) -> dict[Table, dict[str, int]]:
        """All that is in these tables. A round trip each (boards: per 1000 members), eight at a time."""
        found: dict[Table, dict[str, int]] = {}
        for start in range(0, len(tables), _AT_ONCE):
            some = tables[start : start + _AT_ONCE]
            read = await asyncio.gather(*(self._table(generation, table) for table in some))
            found.update(zip(some, read, strict=True))
        return found

    async def _table(self, generation: str, table: Table) -> dict[str, int]:
        key = self.key(generation, table.name)
        if table.ranked:
            return {member: -int(score) async for member, score in self._ranked(key)}
        found = await self.connections.execute("HGETALL", key, idempotent=True)
        return {_text(name): int(count) for name, count in found.items()}

    async def set_members(self, generation: str, name: str) -> dict[str, int]:
        """Who is in a stored set, by the time (ms) when they leave it. A round trip per 1000 members."""
        key = self.segments[f"{generation}:{name}"].key
        return {member: int(expiry) async for member, expiry in self._ranked(key)}

    async def _ranked(self, key: str) -> AsyncIterator[tuple[str, float]]:
        first = 0
        while True:
            last = first + _PAGE - 1
            rows = await self.connections.execute("ZRANGE", key, first, last, "WITHSCORES", idempotent=True)
            for member, score in rows:
                yield _text(member), float(score)
            if len(rows) < _PAGE:
                return
            first += _PAGE

    async def best(self, generation: str, table: Table, limit: int) -> list[tuple[str, int]]:
        """The first of a board and their counts; equals by name. One round trip."""
        key = self.key(generation, table.name)
        rows = await self.connections.execute("ZRANGE", key, 0, limit - 1, "WITHSCORES", idempotent=True)
        return [(_text(member), -int(score)) for member, score in rows]

    async def clear_retired(self, control: Control, now: datetime) -> bool:
        """Delete what has been out of use for a minute; whoever was reading it is done. True when it did."""
        old = now - _CLEAR_AFTER
        done = [name for name, at in control.retired.items() if at <= old.timestamp() * 1000]
        for name in done:
            for pattern in (f"{self._prefix}:{name}:*", f"{self.segments[f'{name}:'].key}*"):
                keys = [key async for key in self.connections.scan_keys(pattern)]
                for start in range(0, len(keys), _PAGE):
                    await self.connections.execute("UNLINK", *keys[start : start + _PAGE], idempotent=True)
            await self.connections.execute("HDEL", self._control, f"retired:{name}", idempotent=True)
        return bool(done)

    def key(self, generation: str, table: str) -> str:
        return f"{self._prefix}:{generation}:{table}"

    async def _run(self, verb: str, keys: Sequence[str], *arguments: Argument) -> Any:
        script = Script.load("analytics_service.lua", f"{verb}.lua")
        return await script(self.connections, keys=keys, args=arguments)


def _runs_out(table: Table) -> str:
    # A day more than it is read: the clocks of server and service may differ.
    return f"+{_ms(_ROLLING)}" if table.gone is None else str(_epoch_ms(table.gone + timedelta(days=1)))


def _epoch_ms(day: date) -> int:
    return int(datetime.combine(day, time(), UTC).timestamp()) * 1000


def _ms(span: timedelta) -> int:
    return int(span.total_seconds() * 1000)


def _text(reply: bytes | str) -> str:
    return reply.decode() if isinstance(reply, bytes) else reply
