"""Cancelling: the guest asks and the kitchen decides, or the order service has decided already."""

from dataclasses import dataclass
from functools import partial

from pizzeria_contracts.events import CancellationAccepted, CancellationRefused
from rediscore.clock import Clock

from kitchen_service.domain.kitchen_order import KitchenOrder, OrderStatus, OrderStep
from kitchen_service.use_cases.afterwards import follow_up
from kitchen_service.use_cases.drop_tickets import drop_queued
from kitchen_service.use_cases.ports import Books, Dispatch, Hints


@dataclass(frozen=True, slots=True)
class CancelOrder:
    """Both ways to cancel. The order's row lock decides against a claim at the same moment: one of them wins.

    An order that the kitchen does not know leaves a mark, so that an order.confirmed that comes
    late (from the dead letters) is not cooked any more.
    """

    clock: Clock
    dispatch: Dispatch
    hints: Hints

    async def decide(self, books: Books, order_id: str) -> None:
        """Handles order.cancellation_requested: accepted when no pizza has been started, else refused.

        When it is gone already (rejected, or cancelled before), there is nothing to decide or to tell.
        """
        order = await books.orders.lock(order_id)
        if await self._stop(books, order, order_id, OrderStep.CANCEL):
            await books.publish(CancellationAccepted(), subject=order_id)
        elif order is not None and not order.gone:
            await books.publish(CancellationRefused(), subject=order_id)

    async def withdraw(self, books: Books, order_id: str) -> None:
        """Handles order.cancelled: stops what has not been started and has not left the house."""
        order = await books.orders.lock(order_id)
        await self._stop(books, order, order_id, OrderStep.WITHDRAW)

    async def _stop(self, books: Books, order: KitchenOrder | None, order_id: str, step: OrderStep) -> bool:
        """Whether this has ended the order: nothing more of it is started from now on."""
        now = self.clock.now()
        if order is None:
            await books.orders.add(KitchenOrder(id=order_id, status=OrderStatus.CANCELLED, created_at=now))
            return True
        if order.may(step):
            await books.orders.save(order.take(step))
            dropped = await drop_queued(books, order_id, now=now)
            forget = partial(self.dispatch.forget, dropped)
            follow_up(books, self.hints, order_id, forget)
            return True
        return False
