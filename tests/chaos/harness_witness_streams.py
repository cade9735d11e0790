"""How a run ended for one plain stream."""

import json
from collections import Counter
from collections.abc import Collection
from typing import Any, NamedTuple

from redis.exceptions import ResponseError
from rediscore.client import RedisConnections
from rediscore.streams import StreamPublisher, dead_stream

from tests.chaos import harness_rules as rules
from tests.chaos.harness_ledger import Ledger
from tests.chaos.harness_load import Load
from tests.chaos.harness_run import ORDERED, Run, sort_of
from tests.chaos.harness_work import Workplace

KEEP = 5


class Letter(NamedTuple):
    """A dead letter as it lies in its stream."""

    group: str
    event_id: str
    original_id: str
    reason: str


class StreamWitness:
    """Of the events of one plain stream."""

    def __init__(self, run: Run, connections: RedisConnections, load: Load, stream: str) -> None:
        self.kind = stream
        self._name = run.stream(stream)
        self._connections = connections
        self._load = load
        self._ledger = Ledger(run.file(f"{stream}.db"))
        self._place = Workplace(self._ledger, connections, f"{run.prefix}:{stream}")

    async def restless(self) -> list[str]:
        return await unread(self._connections, self._name, "workers") or [
            f"{item}: no end" for item in await self._open()
        ]

    async def lost(self) -> Collection[str]:
        # At rest all that is in the stream has its end, so what has none is not in the stream.
        return [] if await unread(self._connections, self._name, "workers") else await self._open()

    async def broken(self) -> list[str]:
        accepted, letters = self._load.accepted[self.kind], await letters_of(self._connections, self._name)
        wrong = [
            f"{item}: {times} dead letters for entry {entry}"
            for (item, entry), times in Counter((one.event_id, one.original_id) for one in letters).items()
            if times > 1
        ]
        # An event that was sent twice is two entries, and each has its letter.
        reasons = {letter.event_id: letter.reason for letter in letters}
        wrong += rules.one_end(
            accepted, await self._effects(), Counter(reasons.keys()), rules.lost_workers(reasons)
        )
        wrong += rules.meant_end(accepted, reasons) + rules.with_reasons(reasons)
        if self.kind in ORDERED:
            wrong += rules.in_order(self._ledger.effects())
        return wrong + await untrimmed(self._connections, self._name)

    def redelivered(self) -> int:
        attempts = self._ledger.attempts().items()
        return sum(times > 1 and sort_of(item) in ("ok", "redis") for item, times in attempts)

    def journey(self, item: str) -> list[tuple[float, str]]:
        return self._ledger.journey(item)

    async def _effects(self) -> Counter[str]:
        found = Counter(effect.item for effect in self._ledger.effects())
        found.update(await self._place.in_redis())
        return found

    async def _open(self) -> list[str]:
        effects = await self._effects()
        dead = {letter.event_id for letter in await letters_of(self._connections, self._name)}
        return [item for item in self._load.accepted[self.kind] if item not in effects and item not in dead]


async def unread(connections: RedisConnections, stream: str, group: str) -> list[str]:
    """What a group has not read or not acknowledged."""
    try:
        groups: Any = await connections.commands.xinfo_groups(stream)
    except ResponseError:
        return [f"{stream} does not exist"]
    for info in groups:
        if info["name"] == group.encode():
            # None: Redis cannot tell how many are unread, as after a cut; then the last ids are compared.
            last = (await connections.commands.xinfo_stream(stream))["last-generated-id"]
            lag = info["lag"] if info["lag"] is not None else int(last != info["last-delivered-id"])
            return [f"{stream}: {lag} unread, {info['pending']} pending"] if lag or info["pending"] else []
    return [f"{stream} has no group {group}"]


async def letters_of(connections: RedisConnections, stream: str) -> list[Letter]:
    """The dead letters of a stream, oldest first."""
    rows: Any = await connections.commands.xrange(dead_stream(stream))
    letters = []
    for _, fields in rows:
        told = {name.decode(): value.decode() for name, value in fields.items()}
        reason = f"{told['reason']}: {told['error']}"
        letters.append(Letter(told["group"], json.loads(told["entry"])["id"], told["original_id"], reason))
    return letters


async def untrimmed(connections: RedisConnections, stream: str) -> list[str]:
    """Everything but the newest entries can be cut off: no group needs it any more."""
    await StreamPublisher(connections).trim(stream, keep=KEEP)
    length = await connections.commands.xlen(stream)
    return [f"{stream}: {length} entries are left after trimming"] if length > KEEP else []
