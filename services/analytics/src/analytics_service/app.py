"""The analytics service, its table of contents and its composition root. Making it does no I/O.

Subscriptions  every event of orders, kitchen and menu, into the archive (`archiving`)
Work           the archive into the projections (`projector`)
Queries        popular pizzas, hours, revenue, cancellations, timings, leaderboards, journeys, how it stood at
               a past moment (`routes`), segments and campaigns (`customers`)
Pages          numbers, customers, projections (`static`), with hints to look again (`live`)
Operations     rebuilds of the projections, and whether all adds up (`operations`)
Publishes      nothing
"""

from fastapi import FastAPI, Request, Response
from pizzeria_chassis.chassis import Chassis
from pizzeria_chassis.errors import FeedUnavailable
from pizzeria_chassis.feed import FeedClient
from pizzeria_chassis.loops import PeriodicTask
from pizzeria_chassis.pages import Page
from pizzeria_chassis.problems import problem_response, unavailable
from pizzeria_contracts.channels import LIVE_ANALYTICS
from pizzeria_contracts.streams import KITCHEN, MENU, ORDERS

from analytics_service.archiving import archive_all
from analytics_service.campaigns import Campaigns
from analytics_service.check import Checker
from analytics_service.customers import customers_router
from analytics_service.lag import ProjectionLag
from analytics_service.live import live_router
from analytics_service.operations import operations_router
from analytics_service.projections import NotCountedYet, Projections
from analytics_service.projector import Projector, ProjectorTask
from analytics_service.routes import manager_router, public_router
from analytics_service.settings import AnalyticsSettings
from analytics_service.snapshots import Snapshots

LAG_SECONDS = 5.0
PAGES = {"numbers": "Numbers", "customers": "Customers", "projections": "Projections"}


def create_analytics_app(settings: AnalyticsSettings) -> FastAPI:
    """Analytics as an app; starting it starts everything."""
    chassis = Chassis(
        settings,
        package="analytics_service",
        description="The archive of all events, and what is counted from it.",
        required=("database", "redis", "projections"),
    )
    database, clock = chassis.database, chassis.clock
    projections = Projections(chassis.connections, chassis.keys, breaker=chassis.redis_breaker)

    async def counted(seq: int) -> None:
        await chassis.live.notify(LIVE_ANALYTICS, {"checkpoint": seq})

    task = ProjectorTask(Projector(database, projections, clock, counted), settings.projector_seconds)
    chassis.add(task)
    lag = ProjectionLag(database, projections, chassis.registry)
    chassis.add(PeriodicTask("projection-lag", LAG_SECONDS, lag))
    snapshots, campaigns = Snapshots(database), Campaigns(database, projections)
    chassis.add(PeriodicTask("snapshots", settings.snapshot_seconds, snapshots.step))
    chassis.add(PeriodicTask("ended-campaigns", 3600, campaigns.forget_ended))
    upstreams = {ORDERS: settings.order_url, KITCHEN: settings.kitchen_url, MENU: settings.menu_url}
    for stream, upstream in upstreams.items():
        archive_all(chassis.consumer(stream, upstream=upstream), task.nudge)
    token = settings.tokens.get("service")
    feeds = {stream: FeedClient(upstream, token) for stream, upstream in upstreams.items()}
    checker = Checker(database, projections, feeds, clock)
    chassis.add(checker)
    for name, title in PAGES.items():
        chassis.page(Page(name, title, "analytics_service"))
    app = chassis.app(
        public_router(projections, clock),
        manager_router(database, projections, snapshots, clock),
        customers_router(projections, campaigns, clock),
        operations_router(database, projections, checker, task.nudge),
        live_router(chassis.live),
    )
    app.add_exception_handler(NotCountedYet, _not_counted_yet)
    app.add_exception_handler(FeedUnavailable, _feed_unavailable)
    return app


async def _not_counted_yet(_: Request, __: Exception) -> Response:
    return problem_response(unavailable("The archive is being folded: half a count would be a wrong one."))


async def _feed_unavailable(_: Request, __: Exception) -> Response:
    return problem_response(unavailable("A service whose events are to be compared does not answer."))
