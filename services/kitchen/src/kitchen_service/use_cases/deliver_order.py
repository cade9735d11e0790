"""A driver takes a ready order and brings it to the guest."""

from dataclasses import dataclass
from functools import partial

from pizzeria_contracts.events import DeliveryCompleted, DeliveryStarted
from rediscore.clock import Clock

from kitchen_service.domain.errors import NotFound
from kitchen_service.domain.kitchen_order import KitchenOrder
from kitchen_service.use_cases.afterwards import follow_up
from kitchen_service.use_cases.ports import Books, Hints, Store


@dataclass(frozen=True, slots=True)
class DeliverOrder:
    """Both steps may be repeated and then change nothing.

    Raises: NotFound, WrongState when the order is not that far, OtherDriver.
    """

    clock: Clock
    store: Store
    hints: Hints

    async def start(self, order_id: str, driver_id: str) -> KitchenOrder:
        return await self.store.transact(partial(self._start, order_id, driver_id))

    async def complete(self, order_id: str, driver_id: str | None) -> KitchenOrder:
        """`driver_id` None: whoever took it."""
        return await self.store.transact(partial(self._complete, order_id, driver_id))

    async def _start(self, order_id: str, driver_id: str, books: Books) -> KitchenOrder:
        order = await self._lock(order_id, books)
        departed = order.depart(driver_id, self.clock.now())
        if departed is not order:
            await books.orders.save(departed)
            await books.publish(DeliveryStarted(driver_id=driver_id), subject=order_id)
            follow_up(books, self.hints, order_id)
        return departed

    async def _complete(self, order_id: str, driver_id: str | None, books: Books) -> KitchenOrder:
        order = await self._lock(order_id, books)
        arrived = order.arrive(driver_id, self.clock.now())
        if arrived is not order:
            await books.orders.save(arrived)
            await books.publish(DeliveryCompleted(driver_id=arrived.driver_id or ""), subject=order_id)
            follow_up(books, self.hints, order_id)
        return arrived

    async def _lock(self, order_id: str, books: Books) -> KitchenOrder:
        order = await books.orders.lock(order_id)
        if order is None:
            raise NotFound("delivery", order_id)
        return order
