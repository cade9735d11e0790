"""A paid order comes in: reserve its ingredients and make a ticket per pizza, or reject it."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from pizzeria_contracts.events import TicketAccepted, TicketRejected
from rediscore.clock import Clock

from kitchen_service.domain.errors import OutOfStock
from kitchen_service.domain.estimate import MEASURED, at_work, ready_at, typical_cooking
from kitchen_service.domain.kitchen_order import KitchenOrder, OrderStatus
from kitchen_service.domain.recipes import needed_for, recipe_for, skill_for
from kitchen_service.domain.stock import MovementKind, total
from kitchen_service.domain.ticket import Pizza, Priority, Ticket
from kitchen_service.use_cases.afterwards import follow_up
from kitchen_service.use_cases.move_stock import move_stock
from kitchen_service.use_cases.ports import Books, Dispatch, Hints


@dataclass(frozen=True, slots=True, kw_only=True)
class NewOrder:
    id: str
    pizzas: tuple[Pizza, ...]
    priority: Priority
    scheduled_for: datetime | None = None


@dataclass(frozen=True, slots=True)
class AcceptOrder:
    """Handles order.confirmed. A second one changes nothing: the order id is the natural key."""

    clock: Clock
    new_id: Callable[[], str]
    dispatch: Dispatch
    hints: Hints

    async def __call__(self, books: Books, new: NewOrder) -> None:
        if await books.orders.lock(new.id) is not None:
            return
        now = self.clock.now()
        cooking = typical_cooking(await books.tickets.last_cooking_times(MEASURED))
        stations = at_work(await books.stations.all(), now)
        own = Counter(skill_for(pizza.pizza_id) for pizza in new.pizzas)
        due_at = now
        if new.scheduled_for is not None:
            alone = ready_at(start=now, ahead={}, own=own, stations=stations, cooking=cooking) - now
            due_at = max(now, new.scheduled_for - alone)
        tickets = await self._tickets(books, new, now, due_at)
        try:
            await move_stock(books, MovementKind.RESERVE, {new.id: total(t.ingredients for t in tickets)})
        except OutOfStock as short:
            await books.orders.add(KitchenOrder(id=new.id, status=OrderStatus.REJECTED, created_at=now))
            await books.publish(
                TicketRejected(reason=short.slug, ingredients=short.ingredients), subject=new.id
            )
            follow_up(books, self.hints, new.id)
            return
        ahead = await books.tickets.unfinished_up_to(tickets[0].rank)
        ready = ready_at(start=now, ahead=ahead, own=own, stations=stations, cooking=cooking)
        estimated = max(ready, new.scheduled_for or ready)
        await books.orders.add(
            KitchenOrder(id=new.id, status=OrderStatus.ACCEPTED, created_at=now, estimated_ready_at=estimated)
        )
        await books.tickets.add(tickets)
        await books.publish(
            TicketAccepted(tickets=tuple(t.id for t in tickets), estimated_ready_at=estimated),
            subject=new.id,
        )
        follow_up(books, self.hints, new.id, lambda: self.dispatch.offer(tickets))

    async def _tickets(self, books: Books, new: NewOrder, now: datetime, due_at: datetime) -> list[Ticket]:
        told = await books.recipes.ingredients({pizza.pizza_id for pizza in new.pizzas})
        return [
            Ticket(
                id=self.new_id(),
                order_id=new.id,
                pizza=pizza,
                priority=new.priority,
                skill=skill_for(pizza.pizza_id),
                ingredients=needed_for(pizza, recipe_for(pizza.pizza_id, told.get(pizza.pizza_id))),
                created_at=now,
                due_at=due_at,
            )
            for pizza in new.pizzas
        ]
