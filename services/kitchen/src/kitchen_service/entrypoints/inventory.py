"""Calls about the stock."""

from typing import Annotated

from fastapi import APIRouter, Response
from pizzeria_chassis.openapi import problems
from pizzeria_chassis.requests import RequestBody
from pydantic import Field

from kitchen_service.app import Kitchen
from kitchen_service.entrypoints.answers import Page, RecipeAnswer, StockAnswer
from kitchen_service.entrypoints.parameters import Cook, Key, Slug

_ROLES = problems(_401="Unknown token.", _403="Wrong role.")


class Delivered(RequestBody):
    """Portions that came in."""

    quantity: Annotated[int, Field(ge=1, le=1_000_000)]


def inventory_router(kitchen: Kitchen) -> APIRouter:
    router = APIRouter(prefix="/inventory", tags=["inventory"])

    @router.get("", responses=_ROLES)
    async def inventory(_: Cook) -> Page[StockAnswer]:
        """The stock of every ingredient."""
        return Page(items=[StockAnswer.of(stock) for stock in await kitchen.queries.inventory()])

    @router.get("/recipes", responses=_ROLES)
    async def recipes(_: Cook) -> Page[RecipeAnswer]:
        """What goes into each pizza, by size."""
        return Page(items=[RecipeAnswer.of(*recipe) for recipe in await kitchen.queries.recipes()])

    @router.post(
        "/{ingredient}/restock",
        responses={
            **_ROLES,
            **problems(_404="No such ingredient.", _409="The key belongs to another request."),
        },
    )
    async def restock(
        ingredient: Slug, body: Delivered, response: Response, _: Cook, key: Key = None
    ) -> StockAnswer:
        """Add portions. With an Idempotency-Key a repeat adds nothing."""
        stock, repeated = await kitchen.commands.restock(ingredient, body.quantity, key)
        if repeated:
            response.headers["Idempotency-Replayed"] = "true"
        return StockAnswer.of(stock)

    return router
