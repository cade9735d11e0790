"""The order service at a glance: what it does, what it hears, what it tells."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from pizzeria_contracts.events import (
    ORDER_PAYLOADS,
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
from pizzeria_contracts.streams import KITCHEN, ORDERS

from order_service.use_cases.cancel_order import CancelOrder
from order_service.use_cases.cart import KeepCart
from order_service.use_cases.check_out import CheckOut
from order_service.use_cases.journey import ReadJourney
from order_service.use_cases.kitchen_news import KitchenNews
from order_service.use_cases.mailbox import KeepMailbox
from order_service.use_cases.place_order import PlaceOrder
from order_service.use_cases.ports import MenuSource
from order_service.use_cases.profile import Profile
from order_service.use_cases.read_orders import ReadOrders
from order_service.use_cases.run_saga import Saga
from order_service.use_cases.sessions import Sessions

PUBLISHES: Final[Mapping[str, tuple[type[Payload], ...]]] = {ORDERS: ORDER_PAYLOADS}

SUBSCRIBES: Final[Mapping[str, Mapping[type[Payload], Callable[..., Awaitable[None]]]]] = {
    KITCHEN: {
        TicketAccepted: KitchenNews.accepted,
        TicketRejected: KitchenNews.rejected,
        TicketStarted: KitchenNews.started,
        TicketCompletedV2: KitchenNews.completed,
        OrderReady: KitchenNews.ready,
        CancellationAccepted: KitchenNews.cancelled,
        CancellationRefused: KitchenNews.kept,
        DeliveryStarted: KitchenNews.delivering,
        DeliveryCompleted: KitchenNews.delivered,
    }
}


@dataclass(frozen=True, kw_only=True)
class OrderService:
    # commands
    sessions: Sessions
    profile: Profile
    cart: KeepCart
    check_out: CheckOut
    place_order: PlaceOrder
    cancel_order: CancelOrder
    # queries
    orders: ReadOrders
    journey: ReadJourney
    mailbox: KeepMailbox
    menu: MenuSource
    # what others tell
    kitchen_news: KitchenNews
    # what goes on by itself
    saga: Saga
