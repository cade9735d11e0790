"""What the kitchen does when it hears of something: one transaction per event, known by its id."""

from pizzeria_chassis.consumer import EventConsumer
from pizzeria_chassis.transaction import Transaction
from pizzeria_contracts.events import (
    CancellationRequested,
    MenuItemChanged,
    OrderCancelled,
    OrderConfirmed,
)
from rediscore.streams import CloudEvent

from kitchen_service.adapters.books import books_of
from kitchen_service.app import Subscriptions
from kitchen_service.domain.ticket import Pizza, Priority, Size
from kitchen_service.use_cases.accept_order import NewOrder


def subscribe_to_orders(consumer: EventConsumer, subscriptions: Subscriptions) -> None:
    @consumer.on(OrderConfirmed)
    async def confirmed(tx: Transaction, event: CloudEvent[OrderConfirmed]) -> None:
        await subscriptions.accept_order(books_of(tx), new_order(event.subject, event.data))

    @consumer.on(CancellationRequested)
    async def cancellation_requested(tx: Transaction, event: CloudEvent[CancellationRequested]) -> None:
        await subscriptions.cancel_order.decide(books_of(tx), event.subject)

    @consumer.on(OrderCancelled)
    async def cancelled(tx: Transaction, event: CloudEvent[OrderCancelled]) -> None:
        await subscriptions.cancel_order.withdraw(books_of(tx), event.subject)

    consumer.ignore_rest()


def subscribe_to_menu(consumer: EventConsumer, subscriptions: Subscriptions) -> None:
    @consumer.on(MenuItemChanged)
    async def changed(tx: Transaction, event: CloudEvent[MenuItemChanged]) -> None:
        item = event.data
        await subscriptions.learn_recipe(books_of(tx), item.pizza_id, item.version, item.ingredients)

    consumer.ignore_rest()


def new_order(order_id: str, confirmed: OrderConfirmed) -> NewOrder:
    """The order in the kitchen's words: one pizza per piece."""
    return NewOrder(
        id=order_id,
        pizzas=tuple(
            Pizza(pizza_id=item.pizza_id, size=Size(item.size), toppings=item.toppings)
            for item in confirmed.items
            for _ in range(item.quantity)
        ),
        priority=Priority(confirmed.priority),
        scheduled_for=confirmed.scheduled_for,
    )
