"""The calls of the menu service."""

import hashlib
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
from menu_service.preconditions import IfMatch, IfNoneMatch, Known, knows, matching, matching_or_new
from menu_service.reading import MenuAnswer, Reader

PizzaId = Annotated[
    Slug, Path(description="The slug of a pizza, e.g. `margherita`.", examples=["margherita"])
]
_ETAG: dict[str, Any] = {
    "headers": {"ETag": {"description": "The version, for If-Match.", "schema": {"type": "string"}}}
}

_OK: dict[int | str, dict[str, Any]] = {200: _ETAG}
_READ: dict[int | str, dict[str, Any]] = {
    200: {"headers": {"ETag": {"description": "For If-None-Match.", "schema": {"type": "string"}}}},
    304: {"description": "It is as you have it."},
}


def public_router(reader: Reader) -> APIRouter:
    """What everybody may read."""
    router = APIRouter(tags=["menu"])

    @router.get("/menu", response_model=MenuAnswer, responses=_READ)
    async def read_menu(if_none_match: Known = None) -> Response:
        """The whole menu. It may be a copy; a change is in it at once as long as Redis hears of changes."""
        content = (await reader.menu()).model_dump_json().encode()
        return _unless_known(content, f'"{hashlib.sha256(content).hexdigest()[:32]}"', if_none_match)

    @router.get(
        "/menu/{pizza_id}",
        response_model=Item,
        responses=_OK | {304: _READ[304]} | problems(_404="There is no such pizza."),
    )
    async def read_pizza(pizza_id: PizzaId, if_none_match: Known = None) -> Response:
        """One pizza as it is now, with the ETag that a change needs."""
        pizza = await reader.pizza(pizza_id)
        if pizza is None:
            raise not_found("There is no such pizza.")
        # What the kitchen lacks is not part of the version, so the tag does not speak for it.
        known = None if pizza.short_of else if_none_match
        return _unless_known(pizza.item().model_dump_json().encode(), _tag(pizza), known)

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
    return JSONResponse(pizza.item().model_dump(mode="json"), status, headers={"ETag": _tag(pizza)})


def _tag(pizza: Pizza) -> str:
    return f'"{pizza.version}"'


def _unless_known(content: bytes, tag: str, if_none_match: str | None) -> Response:
    """The content, or a 304 for who has it. `no-cache`: it may be kept, and is asked about each time."""
    headers = {"ETag": tag, "Cache-Control": "no-cache"}
    if if_none_match is not None and knows(if_none_match, tag):
        return Response(status_code=304, headers=headers)
    return Response(content, media_type="application/json", headers=headers)
