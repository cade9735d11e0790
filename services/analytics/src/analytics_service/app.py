"""The analytics service, its table of contents and its composition root. Making it does no I/O.

Subscriptions  every event of orders, kitchen and menu, into the archive (`archiving`)
Work           the archive into the projections (`projector`)
Queries        popular pizzas, hours, revenue (`projections`), journeys (`archive`)
Publishes      nothing
"""

from fastapi import FastAPI
from pizzeria_chassis.chassis import Chassis
from pizzeria_chassis.loops import PeriodicTask
from pizzeria_contracts.streams import KITCHEN, MENU, ORDERS

from analytics_service.archiving import archive_all
from analytics_service.projections import Projections
from analytics_service.projector import Projector
from analytics_service.routes import manager_router, public_router
from analytics_service.settings import AnalyticsSettings


def create_analytics_app(settings: AnalyticsSettings) -> FastAPI:
    """Analytics as an app; starting it starts everything."""
    chassis = Chassis(
        settings,
        package="analytics_service",
        description="The archive of all events, and what is counted from it.",
        required=("database", "redis"),
    )
    projections = Projections(chassis.connections, chassis.keys, breaker=chassis.redis_breaker)
    projector = Projector(chassis.database, projections, chassis.clock)
    task = PeriodicTask("projector", settings.projector_seconds, projector.step)
    chassis.add(task)
    for stream, upstream in (
        (ORDERS, settings.order_url),
        (KITCHEN, settings.kitchen_url),
        (MENU, settings.menu_url),
    ):
        archive_all(chassis.consumer(stream, upstream=upstream), task.nudge)
    return chassis.app(
        public_router(projections), manager_router(chassis.database, projections, chassis.clock)
    )
