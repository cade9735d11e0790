"""Tickets in SQL. Whoever changes one holds the lock of its order."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from pizzeria_chassis.telemetry import current_trace_id
from sqlalchemy import ColumnElement, Row, Select, and_, bindparam, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from kitchen_service.adapters.tables import orders, ticket_history, tickets
from kitchen_service.domain.history import TicketLine
from kitchen_service.domain.kitchen_order import GONE
from kitchen_service.domain.station import Skill
from kitchen_service.domain.ticket import UNFINISHED, Pizza, Priority, Size, Ticket, TicketStatus

_CHANGING = (
    "due_at",
    "rank",
    "status",
    "fencing_token",
    "claim_id",
    "station_id",
    "lease_until",
    "started_at",
    "finished_at",
    "failures",
    "failure",
)


# Built once: building a statement costs more than running it.
_SAVE = (
    update(tickets)
    .where(tickets.c.id == bindparam("key"))
    .values({name: bindparam(name) for name in _CHANGING})
)
_GET = select(tickets).where(tickets.c.id == bindparam("wanted"))
_CLAIMED_AS = select(tickets).where(tickets.c.claim_id == bindparam("wanted")).limit(1)
_UNFINISHED_OF = (
    select(func.count())
    .select_from(tickets)
    .where(tickets.c.order_id == bindparam("wanted"), tickets.c.status.in_(UNFINISHED))
)
_HELD_BY = (
    select(func.count())
    .select_from(tickets)
    .where(
        tickets.c.station_id == bindparam("wanted"),
        tickets.c.status == TicketStatus.STARTED,
        tickets.c.lease_until > bindparam("now"),
    )
)
_UNFINISHED_UP_TO = (
    select(tickets.c.skill, func.count())
    .where(tickets.c.status.in_(UNFINISHED), tickets.c.rank <= bindparam("rank"))
    .group_by(tickets.c.skill)
)
_LAST_COOKING_TIMES = (
    select(tickets.c.started_at, tickets.c.finished_at)
    .where(tickets.c.status == TicketStatus.COMPLETED)
    .order_by(tickets.c.finished_at.desc())
    .limit(bindparam("most"))
)


class SqlTickets:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, new: Sequence[Ticket]) -> None:
        await self._connection.execute(insert(tickets), [_values(ticket) for ticket in new])

    async def save(self, *changed: Ticket) -> None:
        if not changed:
            return
        rows = [{"key": t.id, **{name: _values(t)[name] for name in _CHANGING}} for t in changed]
        await self._connection.execute(_SAVE, rows)

    async def note(self, *lines: TicketLine) -> None:
        if lines:
            await self._connection.execute(insert(ticket_history), [_history_row(line) for line in lines])

    async def get(self, ticket_id: str) -> Ticket | None:
        return await self._one(_GET, ticket_id)

    async def of_order(self, order_id: str) -> list[Ticket]:
        rows = await self._connection.execute(select(tickets).where(tickets.c.order_id == order_id))
        return [ticket_from(row) for row in rows]

    async def claimed_as(self, claim_id: str) -> Ticket | None:
        return await self._one(_CLAIMED_AS, claim_id)

    async def claimable(self, now: datetime, after: str, limit: int) -> list[Ticket]:
        free = or_(tickets.c.status == TicketStatus.QUEUED, _expired(now))
        query = _with_order().where(free, orders.c.status.not_in(GONE), tickets.c.id > after)
        rows = await self._connection.execute(query.order_by(tickets.c.id).limit(limit))
        return [ticket_from(row) for row in rows]

    async def stranded(self, now: datetime, limit: int) -> list[Ticket]:
        query = _with_order().where(_expired(now), orders.c.status.in_(GONE))
        return [ticket_from(row) for row in await self._connection.execute(query.limit(limit))]

    async def unfinished_of(self, order_id: str) -> int:
        return (await self._connection.execute(_UNFINISHED_OF, {"wanted": order_id})).scalar_one()

    async def held_by(self, station_id: str, now: datetime) -> int:
        found = await self._connection.execute(_HELD_BY, {"wanted": station_id, "now": now})
        return found.scalar_one()

    async def unfinished_up_to(self, rank: datetime) -> dict[Skill, int]:
        found = await self._connection.execute(_UNFINISHED_UP_TO, {"rank": rank})
        return {Skill(skill): count for skill, count in found}

    async def last_cooking_times(self, limit: int) -> list[timedelta]:
        found = await self._connection.execute(_LAST_COOKING_TIMES, {"most": limit})
        return [finished - started for started, finished in found]

    async def _one(self, query: Select[Any], wanted: str) -> Ticket | None:
        row = (await self._connection.execute(query, {"wanted": wanted})).one_or_none()
        return None if row is None else ticket_from(row)


def held(now: datetime) -> ColumnElement[bool]:
    """A station is at work on it: the same as `Ticket.held`."""
    return and_(tickets.c.status == TicketStatus.STARTED, tickets.c.lease_until > now)


def _expired(now: datetime) -> ColumnElement[bool]:
    return and_(tickets.c.status == TicketStatus.STARTED, tickets.c.lease_until <= now)


def _with_order() -> Select[Any]:
    return select(tickets).join(orders, orders.c.id == tickets.c.order_id)


def ticket_from(row: Row[Any]) -> Ticket:
    return Ticket(
        id=row.id,
        order_id=row.order_id,
        pizza=Pizza(pizza_id=row.pizza_id, size=Size(row.size), toppings=tuple(row.toppings)),
        priority=Priority(row.priority),
        skill=Skill(row.skill),
        ingredients=row.ingredients,
        created_at=row.created_at,
        due_at=row.due_at,
        status=TicketStatus(row.status),
        fencing_token=row.fencing_token,
        claim_id=row.claim_id,
        station_id=row.station_id,
        lease_until=row.lease_until,
        started_at=row.started_at,
        finished_at=row.finished_at,
        failures=row.failures,
        failure=row.failure,
    )


def _history_row(line: TicketLine) -> dict[str, Any]:
    ticket = line.ticket
    return {
        "order_id": ticket.order_id,
        "ticket_id": ticket.id,
        "time": line.time,
        "what": line.what.value,
        "station_id": ticket.station_id,
        "fencing_token": ticket.fencing_token,
        "lease_until": ticket.lease_until,
        "attempt": line.attempt,
        "failure": ticket.failure if line.failed else None,
        "trace_id": current_trace_id(),
    }


def _values(ticket: Ticket) -> dict[str, Any]:
    return {
        "id": ticket.id,
        "order_id": ticket.order_id,
        "pizza_id": ticket.pizza.pizza_id,
        "size": ticket.pizza.size.value,
        "toppings": list(ticket.pizza.toppings),
        "priority": ticket.priority.value,
        "skill": ticket.skill.value,
        "ingredients": dict(ticket.ingredients),
        "created_at": ticket.created_at,
        "due_at": ticket.due_at,
        "rank": ticket.rank,
        "status": ticket.status.value,
        "fencing_token": ticket.fencing_token,
        "claim_id": ticket.claim_id,
        "station_id": ticket.station_id,
        "lease_until": ticket.lease_until,
        "started_at": ticket.started_at,
        "finished_at": ticket.finished_at,
        "failures": ticket.failures,
        "failure": ticket.failure,
    }
