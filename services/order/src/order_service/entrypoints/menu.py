"""The menu as orders are priced by it."""

from fastapi import APIRouter
from pizzeria_chassis.openapi import problems
from pizzeria_contracts.menu import Menu

from order_service.app import OrderService


def menu_router(service: OrderService) -> APIRouter:
    router = APIRouter(tags=["menu"])

    @router.get("/menu", responses=problems(_503="No menu at the moment; see Retry-After."))
    async def menu() -> Menu:
        """What can be ordered, as this service sees it: at most 2 s old while the menu service answers."""
        return await service.menu.current()

    return router
