"""How much the kitchen has to do, counted from our own orders, and how fast it is, as it has told."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from pizzeria_chassis.database import Database
from pizzeria_chassis.errors import DatabaseUnavailable
from pizzeria_chassis.health import Check
from pizzeria_chassis.loops import PeriodicTask
from pizzeria_contracts.payloads import Priority
from sqlalchemy import case, func, or_, select

from order_service.adapters.kitchen_client import KitchenClient
from order_service.adapters.tables import OPEN, orders
from order_service.domain.errors import KitchenAway
from order_service.domain.load import HEAD_START, Backlog, Pace, lead
from order_service.domain.order import Order
from order_service.domain.saga import BEFORE_THE_KITCHEN, Step

_log = structlog.get_logger(__name__)

FRESH_SECONDS = 0.25
LOOK_SECONDS = 2.0
HALF_AN_HOUR = timedelta(minutes=30)


@dataclass(eq=False)
class _Added:
    """An order of this process that the last count may have missed."""

    pizzas: int
    priority: Priority
    written_at: float = float("inf")


class SqlKitchenLoad:
    """See `use_cases.ports.KitchenLoad`; a component that looks at the kitchen's pace every 2 s.

    While the kitchen is away its last word counts; without Redis nothing changes.
    """

    def __init__(self, database: Database, kitchen: KitchenClient) -> None:
        self._database = database
        self._clock = database.clock
        self._kitchen = kitchen
        self._pace = Pace()
        self._counted = Backlog()
        self._counted_at = float("-inf")
        self._added: list[_Added] = []
        self._one_at_a_time = asyncio.Lock()
        self._task = PeriodicTask("kitchen-load", LOOK_SECONDS, self._look)

    @property
    def pace(self) -> Pace:
        return self._pace

    async def backlog(self) -> Backlog:
        """One query for all callers of a quarter of a second. Raises DatabaseUnavailable."""
        if not self._fresh():
            async with self._one_at_a_time:
                if not self._fresh():
                    await self._count()
        return self._with_added()

    @contextmanager
    def adding(self, pizzas: int, priority: Priority) -> Iterator[None]:
        added = _Added(pizzas, priority)
        self._added.append(added)
        try:
            yield
        except BaseException:
            # Should it be committed all the same, the next count finds it.
            self._added.remove(added)
            raise
        added.written_at = self._clock.monotonic()

    def lead(self, order: Order) -> timedelta:
        return lead(order.pizzas, order.priority, self._with_added(), self._pace)

    async def scheduled_around(self, time: datetime) -> int:
        query = select(func.count()).where(
            orders.c.scheduled_for.between(time - HALF_AN_HOUR, time + HALF_AN_HOUR),
            orders.c.saga_step.in_(BEFORE_THE_KITCHEN),
        )
        async with self._database.read() as connection:
            return (await connection.execute(query)).scalar_one()

    async def start(self) -> None:
        # The saga asks for it as soon as it runs: too early is better than a guess only if nobody knows.
        await self._ask_kitchen()
        await self._task.start()

    async def stop(self) -> None:
        await self._task.stop()

    def checks(self) -> Mapping[str, Check]:
        return {}

    def _fresh(self) -> bool:
        return self._clock.monotonic() - self._counted_at < FRESH_SECONDS

    async def _look(self) -> None:
        await self._ask_kitchen()
        try:
            await self.backlog()
        except DatabaseUnavailable:
            _log.info("backlog_not_counted")

    async def _ask_kitchen(self) -> None:
        try:
            self._pace = await self._kitchen.pace()
        except KitchenAway:
            _log.debug("kitchen_pace_unknown")

    async def _count(self) -> None:
        began = self._clock.monotonic()
        early = or_(orders.c.priority == "express", orders.c.created_at <= self._clock.now() - HEAD_START)
        pizzas = orders.c.pizzas
        query = select(
            func.count(),
            func.coalesce(func.sum(pizzas), 0),
            func.coalesce(func.sum(case((early, pizzas), else_=0)), 0),
        ).where(OPEN, orders.c.saga_step != Step.AWAIT_SCHEDULE)
        async with self._database.read() as connection:
            count, total, first = (await connection.execute(query)).one()
        self._counted, self._counted_at = Backlog(int(count), int(total), int(first)), began
        # What was written before the count began is in it; the rest may be in it, or not.
        self._added = [added for added in self._added if added.written_at >= began]

    def _with_added(self) -> Backlog:
        express = [order.pizzas for order in self._added if order.priority == "express"]
        return Backlog(
            self._counted.orders + len(self._added),
            self._counted.pizzas + sum(order.pizzas for order in self._added),
            self._counted.before_express + sum(express),
        )
