"""The calls of the menu service."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path
from fastapi.responses import JSONResponse, Response
from pizzeria_chassis.auth import require
from pizzeria_chassis.database import Database
from pizzeria_chassis.openapi import problems
from pizzeria_chassis.problems import not_found
from pizzeria_chassis.transaction import Transaction

from menu_service import changes
from menu_service.announce import Announcer
from menu_service.bodies import NewPizza, PizzaChange, Slug
from menu_service.pizzas import Item, Pizza
from menu_service.preconditions import IfMatch, IfNoneMatch, matching, matching_or_new
from menu_service.reading import MenuAnswer, Reader

PizzaId = Annotated[
    Slug, Path(description="The slug of a pizza, e.g. `margherita`.", examples=["margherita"])
]
_ETAG: dict[str, Any] = {
    "headers": {"ETag": {"description": "The version, for If-Match.", "schema": {"type": "string"}}}
}

_OK: dict[int | str, dict[str, Any]] = {200: _ETAG}


def public_router(reader: Reader) -> APIRouter:
    """What everybody may read."""
    router = APIRouter(tags=["menu"])

    @router.get("/menu", response_model=MenuAnswer)
    async def read_menu() -> Response:
        """The whole menu. It may be a copy; a change is in it at once as long as Redis hears of changes."""
        return Response((await reader.menu()).model_dump_json(), media_type="application/json")

    @router.get(
        "/menu/{pizza_id}",
        response_model=Item,
        responses=_OK | problems(_404="There is no such pizza."),
    )
    async def read_pizza(pizza_id: PizzaId) -> Response:
        """One pizza as it is now, with the ETag that a change needs."""
        pizza = await reader.pizza(pizza_id)
        if pizza is None:
            raise not_found("There is no such pizza.")
        return _answer(pizza)

    return router


def staff_router(database: Database, announce: Announcer) -> APIRouter:
    """What managers may change. Each change is one transaction with its one event."""
    router = APIRouter(tags=["staff"], dependencies=[Depends(require("manager"))])
    refused = problems(
        _401="No or unknown token.",
        _403="Not a manager.",
        _412="The pizza is at another version.",
        _428="If-Match is missing.",
    )

    @router.put(
        "/menu/{pizza_id}",
        response_model=Item,
        responses=_OK | {201: {"model": Item, "description": "Added.", **_ETAG}} | refused,
    )
    async def put_pizza(
        pizza_id: PizzaId, body: NewPizza, if_match: IfMatch = None, if_none_match: IfNoneMatch = None
    ) -> Response:
        """Replace a pizza (with If-Match) or add a new one."""

        async def work(tx: Transaction) -> tuple[Pizza, bool]:
            announce(tx)
            return await changes.put(tx, pizza_id, body, matching_or_new(if_match, if_none_match))

        pizza, new = await database.transact(work)
        return _answer(pizza, 201 if new else 200)

    @router.patch(
        "/menu/{pizza_id}",
        response_model=Item,
        responses=_OK | refused | problems(_404="There is no such pizza."),
    )
    async def patch_pizza(pizza_id: PizzaId, body: PizzaChange, if_match: IfMatch = None) -> Response:
        """Change some fields of a pizza. `available: false` takes it off the menu for the time being."""

        async def work(tx: Transaction) -> Pizza:
            announce(tx)
            return await changes.patch(tx, pizza_id, body, matching(if_match))

        return _answer(await database.transact(work))

    @router.delete(
        "/menu/{pizza_id}",
        status_code=204,
        responses=refused | problems(_404="There is no such pizza."),
    )
    async def delete_pizza(pizza_id: PizzaId, if_match: IfMatch = None) -> None:
        """Take a pizza off the menu for good."""

        async def work(tx: Transaction) -> None:
            announce(tx)
            await changes.remove(tx, pizza_id, matching(if_match))

        await database.transact(work)

    return router


def _answer(pizza: Pizza, status: int = 200) -> Response:
    content = pizza.item().model_dump(mode="json")
    return JSONResponse(content, status, headers={"ETag": f'"{pizza.version}"'})
