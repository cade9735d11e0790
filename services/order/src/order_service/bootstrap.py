"""The composition root: the one place where the order service is put together. Making it does no I/O."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial

from fastapi import FastAPI
from pizzeria_chassis.auth import Principal
from pizzeria_chassis.chassis import Chassis
from pizzeria_chassis.feed import FeedClient
from pizzeria_chassis.loops import PeriodicTask
from pizzeria_chassis.pages import Page
from pizzeria_contracts.streams import KITCHEN, ORDERS

from order_service.adapters.dead_letters import DeadLetters
from order_service.adapters.guarded_provider import GuardedProvider
from order_service.adapters.housekeeping import delete_expired
from order_service.adapters.kitchen_client import KitchenClient
from order_service.adapters.kitchen_feed import KitchenFeed
from order_service.adapters.kitchen_load import SqlKitchenLoad
from order_service.adapters.live_hints import LiveHints
from order_service.adapters.menu_client import MenuClient
from order_service.adapters.menu_hints import hear_of_edits
from order_service.adapters.order_watch import OrderWatch
from order_service.adapters.redis_carts import RedisCarts
from order_service.adapters.redis_sessions import session_lane
from order_service.adapters.sandbox_provider import SandboxProvider
from order_service.adapters.sql_cart_ids import SqlCartIds
from order_service.adapters.sql_customers import SqlCustomers
from order_service.adapters.sql_mailbox import SqlMailbox
from order_service.adapters.sql_orders import SqlOrders
from order_service.adapters.sql_profiles import SqlProfiles
from order_service.adapters.tables import RACES
from order_service.app import OrderService
from order_service.domain.order import Order
from order_service.entrypoints.cart import cart_router
from order_service.entrypoints.events import subscribe
from order_service.entrypoints.limits import limits_of
from order_service.entrypoints.live import live_router
from order_service.entrypoints.me import me_router
from order_service.entrypoints.menu import menu_router
from order_service.entrypoints.notice_tasks import NoticeTasks
from order_service.entrypoints.orders import orders_router
from order_service.entrypoints.problems import install_refusals
from order_service.entrypoints.refund_tasks import RefundTasks
from order_service.entrypoints.sessions import sessions_router
from order_service.entrypoints.views import render_order
from order_service.settings import OrderSettings
from order_service.use_cases.admission import Admission
from order_service.use_cases.cancel_order import CancelOrder
from order_service.use_cases.cart import KeepCart
from order_service.use_cases.check_out import CheckOut
from order_service.use_cases.journey import ReadJourney
from order_service.use_cases.kitchen_news import KitchenNews
from order_service.use_cases.mailbox import KeepMailbox
from order_service.use_cases.place_order import PlaceOrder
from order_service.use_cases.ports import PaymentProvider
from order_service.use_cases.profile import Profile
from order_service.use_cases.read_orders import ReadOrders
from order_service.use_cases.run_saga import Saga
from order_service.use_cases.sessions import Sessions

HOUR = 3600.0


def create_order_app(
    settings: OrderSettings,
    *,
    around_provider: Callable[[PaymentProvider], PaymentProvider] = lambda provider: provider,
) -> FastAPI:
    """The order service as an app; starting it starts everything.

    Args:
        around_provider: for tests that break the way to the payment provider.
    """
    chassis = Chassis(
        settings,
        package="order_service",
        description="Guests, orders, and the saga that takes an order from payment to its end.",
        publishes=ORDERS,
        retriable_constraints=RACES,
    )
    clock, database, policy = chassis.clock, chassis.database, settings.policy
    orders, hints, watch = SqlOrders(database), LiveHints(chassis.live), OrderWatch(chassis.live)
    sandbox = SandboxProvider(database, timeout=settings.payment_timeout_seconds)
    provider = GuardedProvider(around_provider(sandbox), clock=clock, metrics=chassis.metrics)
    menu = MenuClient(
        settings.menu_url,
        database=database,
        clock=clock,
        fresh=timedelta(seconds=settings.menu_fresh_seconds),
        max_age=timedelta(seconds=settings.menu_max_age_seconds),
        metrics=chassis.metrics,
    )
    kitchen_client = KitchenClient(settings.kitchen_url, settings.tokens.get("service"))
    load = SqlKitchenLoad(database, kitchen_client)
    chassis.breaks(menu.breaker)
    chassis.breaks(provider.breaker)
    consumer = chassis.consumer(KITCHEN, upstream=settings.kitchen_url)
    kitchen = KitchenFeed(
        FeedClient(settings.kitchen_url, settings.tokens.get("service")), consumer, chassis.connections
    )
    saga = Saga(
        orders=orders,
        provider=provider,
        kitchen=kitchen,
        load=load,
        clock=clock,
        policy=policy,
        grace=settings.grace_seconds / 2,
    )
    carts = RedisCarts(
        chassis,
        SqlCartIds(database),
        guest_ttl=timedelta(days=settings.cart_days),
        nobodys_ttl=timedelta(hours=settings.nobodys_cart_hours),
    )
    place_order = PlaceOrder(
        orders=orders,
        menu=menu,
        provider=provider,
        admission=Admission(
            load=load,
            clock=clock,
            most=settings.max_open_orders,
            ahead=timedelta(days=settings.schedule_days),
        ),
        clock=clock,
        policy=policy,
        render=render_order,
        keep=timedelta(hours=settings.idempotency_hours),
    )
    sessions = Sessions(
        customers=SqlCustomers(database),
        lane=session_lane(chassis, settings.lifetimes),
        clock=clock,
        lifetimes=settings.lifetimes,
    )
    look = ReadOrders(orders=orders)
    service = OrderService(
        sessions=sessions,
        profile=Profile(profiles=SqlProfiles(database), carts=carts, sessions=sessions),
        cart=KeepCart(store=carts, menu=menu, clock=clock),
        check_out=CheckOut(store=carts, place_order=place_order, clock=clock),
        place_order=place_order,
        cancel_order=CancelOrder(orders=orders, saga=saga),
        orders=look,
        journey=ReadJourney(
            look=look,
            orders=orders,
            tickets=kitchen_client,
            letters=DeadLetters(
                chassis.connections, chassis.redis_breaker, partitions=settings.stream_partitions
            ),
        ),
        mailbox=KeepMailbox(mailbox=SqlMailbox(database), clock=clock),
        menu=menu,
        kitchen_news=KitchenNews(orders=orders, clock=clock, policy=policy),
        saga=saga,
    )

    tasks = chassis.tasks()
    refunds = RefundTasks(tasks, saga, sweep=settings.refund_sweep_seconds)

    def saved(order: Order) -> None:
        if order.in_hand:
            saga.take(order)
        refunds.saved(order)
        hints.changed(order)
        watch.changed(order)

    orders.on_saved(saved)
    notices = NoticeTasks(
        tasks,
        service.mailbox,
        patience=settings.notice_patience_seconds,
        retry_pause=settings.notice_retry_seconds,
    )
    orders.on_notice(notices.due)
    chassis.authenticator.customer = _guests(service.sessions)
    subscribe(consumer, service)
    for component in (
        menu,
        PeriodicTask("menu-hints", 1.0, partial(hear_of_edits, chassis.live, menu.edited), grace=0),
        kitchen_client,
        load,
        provider,
        kitchen,
        hints,
        *notices.components,
        *refunds.components,
        saga,
        PeriodicTask("saga", settings.saga_poll_seconds, saga.take_up_what_is_due),
        PeriodicTask("kitchen-deadlines", settings.saga_poll_seconds * 4, saga.check_deadlines),
        PeriodicTask("housekeeping", HOUR, lambda: delete_expired(database)),
    ):
        chassis.add(component)
    chassis.page(Page("order", "Order", "order_service"))
    chassis.page(Page("mailbox", "Mailbox", "order_service"))
    limits = limits_of(chassis, settings)
    app = chassis.app(
        sessions_router(service, limits),
        me_router(service),
        cart_router(service, limits),
        menu_router(service),
        orders_router(service, limits),
        live_router(service, watch),
    )
    install_refusals(app)
    return app


def _guests(sessions: Sessions) -> Callable[[str], Awaitable[Principal | None]]:
    async def guest(token: str) -> Principal | None:
        customer_id = await sessions.whose(token)
        return None if customer_id is None else Principal("customer", customer_id)

    return guest
