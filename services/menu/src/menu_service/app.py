"""The menu service, its table of contents and its composition root. Making it does no I/O.

Queries        the menu, one pizza (`reading`)
Commands       add or replace, change, remove a pizza (`changes`)
Subscriptions  of the kitchen: stock low, stock restored (`stock`)
Publishes      on ``menu.events``: item changed, withdrawn, restored (`changes.record`)
"""

from fastapi import FastAPI
from pizzeria_chassis.chassis import Chassis
from pizzeria_chassis.loops import PeriodicTask
from pizzeria_chassis.pages import Page
from pizzeria_contracts.streams import KITCHEN, MENU

from menu_service.announce import Announcer
from menu_service.cache import MenuCopy
from menu_service.first_menu import FirstMenu
from menu_service.reading import Reader
from menu_service.routes import public_router, staff_router
from menu_service.settings import MenuSettings
from menu_service.stock import subscribe
from menu_service.warm_up import WarmUp

MAKE_UP_SECONDS = 0.5


def create_menu_app(settings: MenuSettings) -> FastAPI:
    """The menu as an app; starting it starts everything."""
    chassis = Chassis(
        settings,
        package="menu_service",
        description="Pizzas, their prices, and whether they can be ordered.",
        publishes=MENU,
    )
    copy = MenuCopy(
        chassis.connections,
        chassis.keys,
        ttl=settings.cache_ttl,
        patience=settings.cache_patience,
        breaker=chassis.redis_breaker,
        metrics=chassis.metrics,
    )
    reader = Reader(chassis.database, copy.cache, lambda: copy.outdated)
    announce = Announcer(copy, chassis.live)
    chassis.add(copy)
    chassis.add(PeriodicTask("menu-copy", MAKE_UP_SECONDS, copy.make_up))
    chassis.add(FirstMenu(chassis.database))
    chassis.add(WarmUp(reader))
    chassis.page(Page("menu", "Menu", "menu_service"))
    subscribe(chassis.consumer(KITCHEN, upstream=settings.kitchen_url), announce)
    return chassis.app(public_router(reader), staff_router(chassis.database, announce))
