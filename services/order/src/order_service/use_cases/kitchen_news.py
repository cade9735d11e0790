"""The kitchen's news move orders along, or end them. Every event leaves a line in the journey."""

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
    TicketCompletedV2,
    TicketRejected,
    TicketStarted,
)
from rediscore.clock import Clock
from rediscore.streams.event import CloudEvent

from order_service.domain import steps
from order_service.domain.news import Moment, News, Policy
from order_service.domain.order import Note, Order
from order_service.domain.saga import Answer
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
        await self._tell(tx, event, News(Answer.ACCEPTED, ready_at=event.data.estimated_ready_at))

    async def rejected(self, tx: Transaction, event: CloudEvent[TicketRejected]) -> None:
        await self._tell(tx, event, News(Answer.REJECTED, reason=event.data.reason))

    async def started(self, tx: Transaction, event: CloudEvent[TicketStarted]) -> None:
        await self._tell(tx, event, News(Answer.STARTED))

    async def completed(self, tx: Transaction, event: CloudEvent[TicketCompletedV2]) -> None:
        # One of several pizzas, or the last: order_ready tells which. A completed one was started.
        await self._tell(tx, event, News(Answer.STARTED))

    async def ready(self, tx: Transaction, event: CloudEvent[OrderReady]) -> None:
        await self._tell(tx, event, News(Answer.COOKED))

    async def delivering(self, tx: Transaction, event: CloudEvent[DeliveryStarted]) -> None:
        await self._tell(tx, event, News(Answer.ON_ITS_WAY))

    async def delivered(self, tx: Transaction, event: CloudEvent[DeliveryCompleted]) -> None:
        await self._tell(tx, event, News(Answer.DELIVERED))

    async def cancelled(self, tx: Transaction, event: CloudEvent[CancellationAccepted]) -> None:
        await self._tell(tx, event, News(Answer.LET_GO))

    async def kept(self, tx: Transaction, event: CloudEvent[CancellationRefused]) -> None:
        await self._tell(tx, event, News(Answer.KEPT))

    async def _tell(self, tx: Transaction, event: CloudEvent[PayloadT], news: News) -> None:
        def change(order: Order) -> None:
            mattered = steps.hear(order, news, Moment(self._clock.now(), self._policy))
            detail = event.data.model_dump(mode="json") | {"status": order.status}
            if not mattered:
                detail["changed"] = "nothing"
            order.noted.append(Note(event.time, event.type, detail, event.source, event.traceparent))

        await self._orders.change_in(tx, event.subject, change)
