"""What the use cases need from the outside; adapters fit these by shape."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, TypeVar

from pizzeria_contracts.events import Payload

from kitchen_service.domain.history import TicketLine
from kitchen_service.domain.kitchen_order import KitchenOrder
from kitchen_service.domain.station import Skill, Station
from kitchen_service.domain.stock import Movement, Stock
from kitchen_service.domain.ticket import Ticket

T = TypeVar("T")


class Orders(Protocol):
    """Orders. The row lock of an order is also the lock of its tickets: take it before changing them."""

    async def lock(self, order_id: str) -> KitchenOrder | None: ...
    async def lock_of_ticket(self, ticket_id: str) -> KitchenOrder | None: ...
    async def add(self, order: KitchenOrder) -> None: ...
    async def save(self, order: KitchenOrder) -> None: ...
    async def last_estimates(self, limit: int) -> Sequence[tuple[datetime, datetime]]:
        """Estimated and real time of being ready, of the orders that were ready last."""
        ...


class Tickets(Protocol):
    async def add(self, tickets: Sequence[Ticket]) -> None: ...
    async def save(self, *tickets: Ticket) -> None: ...
    async def note(self, *lines: TicketLine) -> None:
        """Append to the history of tickets, with the trace of the work under way."""
        ...

    async def get(self, ticket_id: str) -> Ticket | None: ...
    async def of_order(self, order_id: str) -> list[Ticket]: ...
    async def claimed_as(self, claim_id: str) -> Ticket | None: ...
    async def claimable(self, now: datetime, after: str, limit: int) -> list[Ticket]:
        """Queued, or started by a station whose lease has run out, of orders that are not gone.

        By id, those after `after`.
        """
        ...

    async def stranded(self, now: datetime, limit: int) -> list[Ticket]:
        """Started by a station whose lease has run out, of orders that are gone."""
        ...

    async def unfinished_of(self, order_id: str) -> int: ...

    async def held_by(self, station_id: str, now: datetime) -> int: ...
    async def unfinished_up_to(self, rank: datetime) -> Mapping[Skill, int]: ...
    async def last_cooking_times(self, limit: int) -> list[timedelta]: ...


class Stations(Protocol):
    async def get(self, station_id: str) -> Station | None: ...
    async def lock(self, station_id: str) -> Station | None: ...
    async def all(self) -> Sequence[Station]: ...
    async def save(self, station: Station) -> None:
        """Change it, or add a new one."""
        ...


class Pantry(Protocol):
    """The stock and its ledger. Rows are locked in the order of their names, so two of us never deadlock."""

    async def lock(self, ingredients: Collection[str]) -> dict[str, Stock]: ...
    async def save(self, stocks: Iterable[Stock], movements: Sequence[Movement]) -> None: ...
    async def keep(self, ingredients: Collection[str]) -> list[str]:
        """Begin to keep those that are new, with nothing in stock; the names of the new ones."""
        ...

    async def restocked_as(self, reference: str) -> Movement | None: ...


class Recipes(Protocol):
    """What the menu says that its pizzas are made of."""

    async def ingredients(self, pizza_ids: Collection[str]) -> Mapping[str, Sequence[str]]: ...
    async def learn(self, pizza_id: str, version: int, ingredients: Sequence[str]) -> bool:
        """Remember; False when a newer version is known already."""
        ...


class Books(Protocol):
    """All facts, inside one transaction."""

    @property
    def orders(self) -> Orders: ...
    @property
    def tickets(self) -> Tickets: ...
    @property
    def stations(self) -> Stations: ...
    @property
    def pantry(self) -> Pantry: ...
    @property
    def recipes(self) -> Recipes: ...

    async def publish(self, payload: Payload, *, subject: str) -> None:
        """Append an event to the outbox: it goes out if and only if this transaction commits."""
        ...

    def after_commit(self, hook: Callable[[], Awaitable[None]]) -> None:
        """Run `hook` when all of this is committed. It must not raise."""
        ...


class Store(Protocol):
    async def transact(self, work: Callable[[Books], Awaitable[T]]) -> T:
        """Load, change, save in one transaction. `work` may run again after a conflict."""
        ...

    async def look(self, work: Callable[[Books], Awaitable[T]]) -> T:
        """Only read; takes no locks."""
        ...


@dataclass(frozen=True, slots=True)
class Taken:
    """A ticket that Redis has leased to a station; it counts only when SQL has recorded the start."""

    id: str
    skill: Skill
    token: int
    lease_until: datetime


class Dispatch(Protocol):
    """The queue. Every verb is safe to send twice and raises DispatchAway when Redis cannot be reached."""

    @property
    def lease(self) -> timedelta: ...
    async def offer(self, tickets: Sequence[Ticket]) -> None: ...
    async def take(
        self, station: Station, *, claim_id: str, wait: timedelta, stopping: asyncio.Event
    ) -> Taken | None:
        """Lease the next ticket that the station can cook; the same claim id gets the same one.

        Ends early when `stopping` is set.
        """
        ...

    async def extend(self, ticket: Ticket, token: int) -> datetime:
        """The new end of the lease. Raises: StaleLease."""
        ...

    async def done(self, taken: Taken | Ticket, token: int) -> None: ...
    async def put_back(self, taken: Taken | Ticket, token: int, *, pause: timedelta) -> None: ...
    async def forget(self, tickets: Collection[Ticket]) -> None: ...
    async def unknown(self, tickets: Sequence[Ticket]) -> set[str]:
        """Ids of those that the queue does not hold."""
        ...

    async def recover(self) -> None: ...


class Hints(Protocol):
    async def changed(self, order_id: str) -> None:
        """Tell live pages to look again. Never raises; may be lost."""
        ...
