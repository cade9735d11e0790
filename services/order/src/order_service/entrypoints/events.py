"""Kitchen events come in here, each to the handler that `app.SUBSCRIBES` names."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from pizzeria_chassis.consumer import EventConsumer
from pizzeria_chassis.transaction import Transaction
from pizzeria_contracts.streams import KITCHEN
from rediscore.streams import CloudEvent, Reject

from order_service.app import SUBSCRIBES, OrderService
from order_service.domain.errors import UnknownOrder

Handler = Callable[[Transaction, CloudEvent[Any]], Awaitable[None]]


def subscribe(consumer: EventConsumer, service: OrderService) -> None:
    """Register all handlers; what else travels on that stream only moves the position on."""
    for payload, handler in SUBSCRIBES[KITCHEN].items():
        consumer.on(payload)(_ours_alone(partial(handler, service.kitchen_news)))
    consumer.ignore_rest()


def _ours_alone(handler: Handler) -> Handler:
    async def handle(tx: Transaction, event: CloudEvent[Any]) -> None:
        try:
            await handler(tx, event)
        except UnknownOrder as error:
            # No later try will make it ours: a dead letter at once.
            raise Reject("This order is not in the database of the order service.") from error

    return handle
