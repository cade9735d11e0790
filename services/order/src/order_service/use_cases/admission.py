"""Who is let in: a bounded number of open orders, an honest estimate, and times that can be kept."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

from pizzeria_contracts.payloads import Priority
from rediscore.clock import Clock

from order_service.domain.errors import Fault, Unorderable
from order_service.domain.load import check_room, lead
from order_service.use_cases.ports import KitchenLoad


class Admission:
    """The rules for the number of orders and their times.

    Each replica counts what it adds at once and what others add within a quarter of a second; so by that
    much there may be more.

    Args:
        most: orders that may be open at the same time, and scheduled around the same hour.
        ahead: how far ahead an order may be scheduled.
    """

    def __init__(self, *, load: KitchenLoad, clock: Clock, most: int, ahead: timedelta) -> None:
        self._load = load
        self._clock = clock
        self._most = most
        self._ahead = ahead

    @asynccontextmanager
    async def __call__(
        self, pizzas: int, priority: Priority, scheduled_for: datetime | None
    ) -> AsyncIterator[datetime]:
        """`async with admission(...) as ready_at:` write the order. At most one query, for many together.

        An order whose time is so far ahead that the kitchen need not begin yet is not held back by what it
        has to do now, but by what is scheduled around that time.

        Raises: KitchenFull, Unorderable.
        """
        backlog, pace = await self._load.backlog(), self._load.pace
        now = self._clock.now()
        ready_at = now + lead(pizzas, priority, backlog, pace)
        if scheduled_for is not None and scheduled_for > ready_at:
            if await self._load.scheduled_around(scheduled_for) >= self._most:
                raise Unorderable([Fault("/scheduled_for", "All is taken around this time; choose another.")])
            yield scheduled_for
            return
        check_room(priority, backlog, pace, self._most)
        with self._load.adding(pizzas, priority):
            yield ready_at

    def faults_of_time(self, scheduled_for: datetime | None) -> list[Fault]:
        """What is wrong with a time that a guest wishes for."""
        if scheduled_for is None:
            return []
        now = self._clock.now()
        if scheduled_for <= now:
            return [Fault("/scheduled_for", "This time has passed; choose one ahead, or none for now.")]
        if scheduled_for > now + self._ahead:
            return [Fault("/scheduled_for", f"Choose a time within the next {self._ahead.days} days.")]
        return []
