"""The kitchen's news move orders along, or end them. Every event leaves a line in the journey."""

from collections.abc import Callable
from typing import TypeVar

from pizzeria_chassis.transaction import Transaction
from pizzeria_contracts.events import (
    CancellationAccepted,
    CancellationRefused,
    DeliveryCompleted,
    DeliveryStarted,
    OrderReady,
    Payload,
    TicketAccepted,
    TicketCompleted,
    TicketRejected,
    TicketStarted,
)
from rediscore.clock import Clock
from rediscore.streams.event import CloudEvent

from order_service.domain import saga
from order_service.domain.order import Note, Order
from order_service.domain.saga import Policy
from order_service.domain.states import Trigger
from order_service.use_cases.ports import Orders

PayloadT = TypeVar("PayloadT", bound=Payload)


class KitchenNews:
    """Handlers of kitchen.events; each runs in the consumer's transaction.

    An event that comes too late to matter (the order is cancelled, or beyond that state) changes
    nothing and is noted as ignored.

    Raises:
        UnknownOrder: the order is not ours.
        NotConfirmedYet: handle it again later.
    """

    def __init__(self, *, orders: Orders, clock: Clock, policy: Policy) -> None:
        self._orders = orders
        self._clock = clock
        self._policy = policy

    async def accepted(self, tx: Transaction, event: CloudEvent[TicketAccepted]) -> None:
        ready_at = event.data.estimated_ready_at
        await self._tell(tx, event, lambda order: saga.kitchen_accepted(order, ready_at))

    async def rejected(self, tx: Transaction, event: CloudEvent[TicketRejected]) -> None:
        reason = event.data.reason
        await self._tell(
            tx, event, lambda order: saga.kitchen_rejected(order, reason, self._clock.now(), self._policy)
        )

    async def started(self, tx: Transaction, event: CloudEvent[TicketStarted]) -> None:
        await self._progress(tx, event, Trigger.COOKING_STARTED)

    async def completed(self, tx: Transaction, event: CloudEvent[TicketCompleted]) -> None:
        # One of several pizzas, or the last: order_ready tells which. A completed one was started.
        await self._progress(tx, event, Trigger.COOKING_STARTED)

    async def ready(self, tx: Transaction, event: CloudEvent[OrderReady]) -> None:
        await self._progress(tx, event, Trigger.COOKED)

    async def delivering(self, tx: Transaction, event: CloudEvent[DeliveryStarted]) -> None:
        await self._progress(tx, event, Trigger.DELIVERY_STARTED)

    async def delivered(self, tx: Transaction, event: CloudEvent[DeliveryCompleted]) -> None:
        await self._progress(tx, event, Trigger.DELIVERY_COMPLETED)

    async def cancelled(self, tx: Transaction, event: CloudEvent[CancellationAccepted]) -> None:
        await self._tell(
            tx, event, lambda order: saga.kitchen_cancelled(order, self._clock.now(), self._policy)
        )

    async def kept(self, tx: Transaction, event: CloudEvent[CancellationRefused]) -> None:
        await self._tell(tx, event, saga.kitchen_kept)

    async def _progress(self, tx: Transaction, event: CloudEvent[PayloadT], trigger: Trigger) -> None:
        await self._tell(tx, event, lambda order: saga.kitchen_progressed(order, trigger))

    async def _tell(
        self, tx: Transaction, event: CloudEvent[PayloadT], hear: Callable[[Order], bool]
    ) -> None:
        def change(order: Order) -> None:
            mattered = hear(order)
            detail = event.data.model_dump(mode="json") | {"status": order.status}
            if not mattered:
                detail["changed"] = "nothing"
            order.noted.append(Note(event.time, event.type, detail, event.source, event.traceparent))

        await self._orders.change_in(tx, event.subject, change)
