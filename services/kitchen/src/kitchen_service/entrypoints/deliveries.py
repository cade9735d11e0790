"""Calls of drivers."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pizzeria_chassis.openapi import problems
from pizzeria_chassis.requests import RequestBody
from pydantic import Field

from kitchen_service.app import Kitchen
from kitchen_service.domain.kitchen_order import OrderStatus
from kitchen_service.entrypoints.answers import DeliveryAnswer, Page
from kitchen_service.entrypoints.parameters import After, Driver, Id, Limit, decode_mark, encode_mark

_ROLES = problems(_401="Unknown token.", _403="Wrong role.")
_STEP = {**_ROLES, **problems(_404="No such order.", _409="Not that far, or with another driver.")}
Shown = Literal["ready", "delivering", "delivered"]


class By(RequestBody):
    """Who drives; without it, whoever the token belongs to."""

    driver_id: Annotated[str, Field(min_length=1, max_length=100)] | None = None


def deliveries_router(kitchen: Kitchen) -> APIRouter:
    router = APIRouter(prefix="/deliveries", tags=["deliveries"])
    deliver = kitchen.commands.deliver_order

    @router.get("", responses=_ROLES)
    async def deliveries(
        _: Driver,
        status: Annotated[list[Shown] | None, Query(description="Default: ready, delivering.")] = None,
        limit: Limit = 100,
        after: After = None,
    ) -> Page[DeliveryAnswer]:
        """Orders to deliver, the first that was ready first."""
        wanted = [OrderStatus(shown) for shown in status or ("ready", "delivering")]
        orders = await kitchen.queries.deliveries(wanted, limit, decode_mark(after))
        last = orders[-1] if len(orders) == limit else None
        return Page(
            items=[DeliveryAnswer.of(order) for order in orders],
            next=encode_mark(last.ready_at, last.id) if last else None,
        )

    @router.post("/{order_id}/start", responses=_STEP)
    async def start(order_id: Id, driver: Driver, body: By | None = None) -> DeliveryAnswer:
        """Take a ready order out. A repeat of the same driver is harmless."""
        driver_id = (body and body.driver_id) or driver.id
        return DeliveryAnswer.of(await deliver.start(order_id, driver_id))

    @router.post("/{order_id}/complete", responses=_STEP)
    async def complete(order_id: Id, _: Driver, body: By | None = None) -> DeliveryAnswer:
        """It is with the guest. A repeat is harmless."""
        return DeliveryAnswer.of(await deliver.complete(order_id, body.driver_id if body else None))

    return router
