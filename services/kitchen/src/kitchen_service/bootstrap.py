"""The composition root: the one place where the kitchen is put together. Making it does no I/O."""

from collections.abc import Callable

from fastapi import FastAPI
from pizzeria_chassis.chassis import Chassis
from pizzeria_chassis.ids import new_id
from pizzeria_chassis.loops import PeriodicTask
from pizzeria_chassis.pages import Page
from pizzeria_contracts.streams import KITCHEN, MENU, ORDERS
from rediscore.clock import Clock
from rediscore.retry import Backoff

from kitchen_service.adapters.books import SqlStore
from kitchen_service.adapters.dispatch import RedisDispatch
from kitchen_service.adapters.estimate_metrics import EstimateMetrics
from kitchen_service.adapters.hints import LiveHints
from kitchen_service.adapters.views import Views
from kitchen_service.app import Commands, Kitchen, Subscriptions
from kitchen_service.entrypoints.between_services import between_services_router
from kitchen_service.entrypoints.cooking import cooking_router
from kitchen_service.entrypoints.deliveries import deliveries_router
from kitchen_service.entrypoints.events import subscribe_to_menu, subscribe_to_orders
from kitchen_service.entrypoints.inventory import inventory_router
from kitchen_service.entrypoints.live import live_router
from kitchen_service.entrypoints.problems import install_kitchen_problems
from kitchen_service.entrypoints.stations import stations_router
from kitchen_service.settings import KitchenSettings
from kitchen_service.use_cases.abandon_tickets import AbandonTickets
from kitchen_service.use_cases.accept_order import AcceptOrder
from kitchen_service.use_cases.arrange_station import ArrangeStation
from kitchen_service.use_cases.cancel_order import CancelOrder
from kitchen_service.use_cases.claim_ticket import ClaimTicket
from kitchen_service.use_cases.complete_ticket import CompleteTicket
from kitchen_service.use_cases.deliver_order import DeliverOrder
from kitchen_service.use_cases.extend_lease import ExtendLease
from kitchen_service.use_cases.fail_ticket import FailTicket
from kitchen_service.use_cases.learn_recipe import learn_recipe
from kitchen_service.use_cases.ports import Dispatch, Hints, Store
from kitchen_service.use_cases.restock import Restock
from kitchen_service.use_cases.sweep import Sweep

ESTIMATES_SECONDS = 10.0

PAGES = (
    Page("display", "Kitchen", "kitchen_service"),
    Page("station", "My station", "kitchen_service"),
    Page("deliveries", "Deliveries", "kitchen_service"),
    Page("stock", "Stock", "kitchen_service"),
)

RACES = ("pk_kitchen_orders", "pk_stock", "stations_pkey", "pk_recipes", "uq_stock_ledger_movement")
"""Keys that only two of us at the same moment can violate: the second one looks again."""


def create_kitchen_app(
    settings: KitchenSettings, *, around_dispatch: Callable[[Dispatch], Dispatch] = lambda dispatch: dispatch
) -> FastAPI:
    """The kitchen as an app; starting it starts everything.

    Args:
        around_dispatch: for tests that break the way to the queue.
    """
    chassis = Chassis(
        settings,
        package="kitchen_service",
        description="Tickets, stations, stock and deliveries.",
        publishes=KITCHEN,
        required=("database", "redis"),
        retriable_constraints=RACES,
    )
    clock = chassis.clock
    dispatch = around_dispatch(
        RedisDispatch(
            chassis.connections,
            keys=chassis.keys,
            lease=settings.lease,
            capacity=settings.queue_capacity,
            clock=clock,
            breaker=chassis.redis_breaker,
            metrics=chassis.metrics,
        )
    )
    store = SqlStore(chassis.database, clock)
    queries = Views(chassis.database, clock)
    kitchen = make_kitchen(
        store, dispatch, LiveHints(chassis.live), queries, clock, settings.ticket_completed_version
    )
    subscribe_to_orders(chassis.consumer(ORDERS, upstream=settings.order_url), kitchen.subscriptions)
    subscribe_to_menu(chassis.consumer(MENU, upstream=settings.menu_url), kitchen.subscriptions)
    # Short pauses between failures: when Redis is back, its queue is to be rebuilt at once.
    chassis.add(PeriodicTask("sweep", settings.sweep_seconds, kitchen.sweep, backoff=Backoff(0.2, 2.0)))
    accuracy = EstimateMetrics(kitchen.queries, chassis.registry)
    chassis.add(PeriodicTask("estimates", ESTIMATES_SECONDS, accuracy))
    chassis.add(PeriodicTask("abandon", settings.sweep_seconds, kitchen.abandon_tickets))
    for page in PAGES:
        chassis.page(page)
    app = chassis.app(
        cooking_router(kitchen, clock),
        stations_router(kitchen, clock),
        inventory_router(kitchen),
        deliveries_router(kitchen),
        live_router(chassis.live),
        between_services_router(kitchen.queries),
    )
    install_kitchen_problems(app)
    return app


def make_kitchen(
    store: Store, dispatch: Dispatch, hints: Hints, queries: Views, clock: Clock, told_in_version: int
) -> Kitchen:
    """The use cases on these adapters."""
    return Kitchen(
        commands=Commands(
            arrange_station=ArrangeStation(clock, store),
            claim_ticket=ClaimTicket(clock, store, dispatch, hints),
            extend_lease=ExtendLease(clock, store, dispatch),
            complete_ticket=CompleteTicket(clock, store, dispatch, hints, told_in_version),
            fail_ticket=FailTicket(clock, store, dispatch, hints),
            restock=Restock(store, new_id),
            deliver_order=DeliverOrder(clock, store, hints),
        ),
        subscriptions=Subscriptions(
            accept_order=AcceptOrder(clock, new_id, dispatch, hints),
            cancel_order=CancelOrder(clock, dispatch, hints),
            learn_recipe=learn_recipe,
        ),
        queries=queries,
        sweep=Sweep(clock, store, dispatch),
        abandon_tickets=AbandonTickets(clock, store),
    )
