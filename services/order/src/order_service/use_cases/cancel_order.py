"""A guest cancels: at once while that is ours to decide, else by asking the kitchen."""

from order_service.domain import cancellation
from order_service.domain.cancellation import Decision
from order_service.domain.errors import UnknownOrder
from order_service.domain.order import Order
from order_service.use_cases.ports import Orders
from order_service.use_cases.run_saga import Saga


class CancelOrder:
    def __init__(self, *, orders: Orders, saga: Saga) -> None:
        self._orders = orders
        self._saga = saga

    async def __call__(self, order_id: str, customer_id: str) -> tuple[Order, bool]:
        """The order afterwards, and whether it is decided; if not, the kitchen decides.

        What we decide is written before the money moves, so a crash in between is made good by the saga.

        Raises:
            UnknownOrder: none of this guest's.
            TooLateToCancel: cooking has begun.
        """
        decision = Decision.CLOSING

        def change(order: Order) -> None:
            nonlocal decision
            if order.customer_id != customer_id:
                raise UnknownOrder
            decision = cancellation.request(order, self._saga.moment(order))

        order = await self._orders.change(order_id, change)
        if decision is Decision.CALLED_OFF:
            await self._saga.settled(order_id)
            order = await self._orders.get(order_id) or order
        return order, decision is not Decision.ASKED_KITCHEN
