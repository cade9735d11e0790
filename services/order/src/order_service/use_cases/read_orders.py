"""Looking at orders: guests see their own, managers see all."""

from collections.abc import Sequence

from order_service.domain.errors import UnknownOrder
from order_service.domain.order import Order
from order_service.domain.records import OrderFilter
from order_service.use_cases.ports import Orders


class ReadOrders:
    """`customer_id` is whose orders may be seen; None means all."""

    def __init__(self, *, orders: Orders) -> None:
        self._orders = orders

    async def one(self, order_id: str, customer_id: str | None) -> Order:
        """Raises UnknownOrder."""
        order = await self._orders.get(order_id)
        if order is None or customer_id not in (None, order.customer_id):
            raise UnknownOrder
        return order

    async def some(self, wanted: OrderFilter) -> Sequence[Order]:
        return await self._orders.find(wanted)
