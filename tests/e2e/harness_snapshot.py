"""What can be seen of a pizzeria from outside at one moment: over HTTP, and in Redis what is pending."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

import redis.asyncio
import redis.exceptions

Json = dict[str, Any]

STREAMS = {"order": "orders.events", "kitchen": "kitchen.events", "menu": "menu.events"}
SERVICES = ("order", "kitchen", "menu", "analytics")
TERMINAL = frozenset({"delivered", "cancelled"})
_PAGE = 500


@dataclass(frozen=True)
class Grant:
    """A ticket that a station was given, as the cook saw it."""

    station_id: str
    ticket_id: str
    order_id: str
    token: int


@dataclass(frozen=True)
class Group:
    """A consumer group in Redis. `lag` is None when Redis cannot tell."""

    stream: str
    name: str
    pending: int
    lag: int | None


@dataclass(frozen=True)
class DeadLetter:
    """One entry of a `<stream>.dead`, without what it held."""

    stream: str
    group: str
    reason: str


@dataclass
class Diary:
    """What the people of the tests remember; nothing of it is asked of the system again.

    Attributes:
        accepted: orders that were answered with 201.
        seen: states of an order as they were seen, repeats left out.
        grants: tickets given to our cooks, in the order in which they came.
        finished: tickets whose completion was answered with success, with the token used.
        capacity: how many tickets a station may hold.
        overfull: a sentence for each time that a station held more.
        expected_dead: how many dead letters a test has caused, by stream.
    """

    accepted: list[str] = field(default_factory=list)
    seen: dict[str, list[str]] = field(default_factory=dict)
    grants: list[Grant] = field(default_factory=list)
    finished: list[tuple[str, int]] = field(default_factory=list)
    capacity: dict[str, int] = field(default_factory=dict)
    overfull: list[str] = field(default_factory=list)
    expected_dead: Counter[str] = field(default_factory=Counter)
    _held: dict[tuple[str, str], datetime] = field(default_factory=dict)

    def accept(self, order_id: str) -> None:
        """A 201; the same order twice is one order."""
        if order_id not in self.accepted:
            self.accepted.append(order_id)

    def saw(self, order_id: str, status: str) -> None:
        states = self.seen.setdefault(order_id, [])
        if states[-1:] != [status]:
            states.append(status)

    def ended(self, order_id: str) -> bool:
        return self.seen.get(order_id, [""])[-1] in TERMINAL

    def granted(self, grant: Grant, lease_until: datetime, now: datetime) -> None:
        """A station was given a ticket: I8 is decided here, for nothing is held any more at rest."""
        self.grants.append(grant)
        self._held[grant.station_id, grant.ticket_id] = lease_until
        held = [
            ticket
            for (station, ticket), until in self._held.items()
            if station == grant.station_id and until > now
        ]
        if len(held) > self.capacity[grant.station_id]:
            self.overfull.append(f"{grant.station_id} holds {len(held)} tickets: {held}")

    def lays_down(self, station_id: str, ticket_id: str) -> None:
        """The station is about to hand the ticket in."""
        self._held.pop((station_id, ticket_id), None)


@dataclass(frozen=True)
class Snapshot:
    diary: Diary
    orders: Mapping[str, Json]
    feeds: Mapping[str, Sequence[Json]]
    positions: Mapping[str, Json]
    inventory: Sequence[Json]
    groups: Sequence[Group]
    dead: Sequence[DeadLetter]
    archive_head: int
    checkpoint: int
    popular: Mapping[str, int]


class Reader(Protocol):
    """Reads as a manager or as a service; answers the body of a 200."""

    async def read(self, service: str, path: str, role: str = "manager") -> Json: ...


async def take(reader: Reader, store: redis.asyncio.Redis, diary: Diary) -> Snapshot:
    """Look at everything once. Some 15 reads and a page per 500 events."""
    projections = await reader.read("analytics", "/projections")
    popular = await reader.read("analytics", "/popular?limit=100")
    return Snapshot(
        diary=diary,
        orders={order: await reader.read("order", f"/orders/{order}") for order in diary.accepted},
        feeds={stream: await feed(reader, service) for service, stream in STREAMS.items()},
        positions={
            service: await reader.read(service, "/events/positions", "service") for service in SERVICES
        },
        inventory=(await reader.read("kitchen", "/inventory"))["items"],
        groups=[group for stream in STREAMS.values() for group in await _groups(store, stream)],
        dead=[letter for stream in STREAMS.values() for letter in await dead_letters(store, stream)],
        archive_head=projections["archive_head"],
        checkpoint=projections["checkpoint"],
        popular={item["pizza_id"]: item["count"] for item in popular["items"]},
    )


async def feed(reader: Reader, service: str) -> list[Json]:
    """All events of a service from its durable feed."""
    events: list[Json] = []
    after = 0
    while True:
        page = await reader.read(service, f"/events?after={after}&limit={_PAGE}", "service")
        events += page["items"]
        if not page["items"] or page["next"] is None:
            return events
        after = page["next"]


async def _groups(store: redis.asyncio.Redis, stream: str) -> list[Group]:
    try:
        found = await store.xinfo_groups(stream)
    except redis.exceptions.ResponseError:  # no such stream: nothing was published since the last wipe
        return []
    return [Group(stream, group["name"].decode(), group["pending"], group.get("lag")) for group in found]


async def dead_letters(store: redis.asyncio.Redis, stream: str) -> list[DeadLetter]:
    """The dead letters of a stream, oldest first."""
    entries: Any = await store.xrange(f"{stream}.dead", count=10_000)
    return [
        DeadLetter(stream, fields[b"group"].decode(), fields[b"reason"].decode()) for _, fields in entries
    ]
