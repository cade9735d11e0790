"""What other services read here: the pace of the kitchen, and what happened to the tickets of an order."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pizzeria_chassis.auth import Principal, require
from pizzeria_chassis.openapi import problems

from kitchen_service.adapters.views import Views
from kitchen_service.entrypoints.answers import HistoryAnswer, PaceAnswer, Page
from kitchen_service.entrypoints.parameters import Id, Limit

Service = Annotated[Principal, Depends(require("service", "manager"))]


def between_services_router(queries: Views) -> APIRouter:
    router = APIRouter(
        tags=["between services"], responses=problems(_401="Unknown token.", _403="Wrong role.")
    )

    @router.get("/pace")
    async def pace(_: Service) -> PaceAnswer:
        """How fast the kitchen cooks, as it has measured itself."""
        found = await queries.pace()
        return PaceAnswer(places=found.places, cooking_seconds=found.cooking.total_seconds())

    @router.get("/orders/{order_id}/history")
    async def history(
        _: Service, order_id: Id, limit: Limit = 500, after: Annotated[int, Query(ge=0, lt=2**63)] = 0
    ) -> Page[HistoryAnswer]:
        """Claims, leases and attempts of all tickets of an order, as they were written down."""
        rows = await queries.history(order_id, after, limit)
        return Page(
            items=[HistoryAnswer.model_validate(row) for row in rows],
            next=str(rows[-1].id) if len(rows) == limit else None,
        )

    return router
