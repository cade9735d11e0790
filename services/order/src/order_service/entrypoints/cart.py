"""The cart over HTTP, for guests and, by a token of its own, for those who are none yet."""

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Request, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pizzeria_chassis.auth import require
from pizzeria_chassis.openapi import problems

from order_service.app import OrderService
from order_service.domain.cart import PricedCart
from order_service.entrypoints.bodies import Checkout, Item, LinePatch
from order_service.entrypoints.cart_views import CartTokenView, CartView
from order_service.entrypoints.guests import Guest
from order_service.entrypoints.limits import Limits
from order_service.entrypoints.orders import Key, placed_answer
from order_service.entrypoints.views import OrderView
from order_service.use_cases.cart_ports import Owner
from order_service.use_cases.place_order import RequestKey

CartToken = Annotated[
    str | None,
    Header(
        alias="Cart-Token",
        pattern=r"^[A-Za-z0-9_-]{43}$",
        description="The cart of somebody who has not signed in; from POST /carts.",
    ),
]
Shown = Annotated[
    str | None,
    Header(
        alias="If-Match",
        pattern=r'^("[0-9a-f]{32}"|\*)$',
        description="ETag of the cart that was shown; another one by now is refused.",
    ),
]
_guest = require("customer")


async def _owner(
    request: Request,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))],
    cart_token: CartToken = None,
) -> Owner:
    if credentials is None and cart_token is not None:
        return Owner.bearer(cart_token)
    return Owner.guest((await _guest(request, credentials)).id)


CartOwner = Annotated[Owner, Depends(_owner)]


def cart_router(service: OrderService, limits: Limits) -> APIRouter:
    router = APIRouter(
        tags=["cart"],
        responses=problems(
            _401="Neither a known token nor a cart token.",
            _403="Wrong role.",
            _503="No carts at the moment, or no menu to price by; see Retry-After.",
        ),
    )
    gone = problems(_404="No such line; or the cart of that Cart-Token is gone.")
    busy = problems(_409="The cart is being checked out (Retry-After), or it is full.")

    @router.post(
        "/carts",
        status_code=201,
        dependencies=[limits.sessions],
        responses=problems(_429="Too many new sessions and carts from your address; see Retry-After."),
    )
    async def begin() -> CartTokenView:
        """An empty cart for somebody who has not signed in. The token is shown this once."""
        return CartTokenView(cart_token=await service.cart.begin())

    @router.get("/cart", responses=gone)
    async def show(owner: CartOwner, response: Response) -> CartView:
        """The cart at today's prices."""
        return _shown(await service.cart.show(owner), response)

    @router.post("/cart/items", status_code=201, responses=gone | busy)
    async def add(owner: CartOwner, body: Item, response: Response, key: Key = None) -> CartView:
        """Put a pizza into the cart; Location is its line."""
        cart, line_id = await service.cart.add(owner, body.wish(), key)
        response.headers["Location"] = f"/cart/items/{line_id}"
        return _shown(cart, response)

    @router.patch("/cart/items/{line_id}", responses=gone | busy)
    async def change(owner: CartOwner, line_id: str, body: LinePatch, response: Response) -> CartView:
        """Change quantity, size or toppings of a line."""
        return _shown(await service.cart.change(owner, line_id, body.change()), response)

    @router.delete("/cart/items/{line_id}", status_code=204, responses=gone | busy)
    async def remove(owner: CartOwner, line_id: str) -> None:
        """Take a line out."""
        await service.cart.remove(owner, line_id)

    @router.post("/cart/merge", responses=busy)
    async def merge(guest: Guest, response: Response, cart_token: CartToken = None) -> CartView:
        """Take over the cart of a Cart-Token, as POST /sessions does. What does not fit stays there."""
        owner = Owner.guest(guest.id)
        if cart_token is not None:
            await service.cart.merge(owner, Owner.bearer(cart_token))
        return _shown(await service.cart.show(owner), response)

    @router.post(
        "/cart/checkout",
        status_code=201,
        response_model=OrderView,
        dependencies=[limits.orders],
        responses=problems(
            _409="Empty, gone, changed or being checked out; or prices have changed: `changes` says which.",
            _412="The cart is not the one of If-Match.",
            _429="Too many orders in a minute; see RateLimit and Retry-After.",
        ),
    )
    async def check_out(guest: Guest, body: Checkout, key: Key = None, shown: Shown = None) -> Response:
        """Order what is in the cart at the prices that were shown, and empty it."""
        request = RequestKey(key, body.fingerprint()) if key is not None else None
        tag = None if shown in (None, "*") else shown.strip('"')
        return placed_answer(await service.check_out(guest.id, body.terms(), request, tag))

    return router


def _shown(cart: PricedCart, response: Response) -> CartView:
    response.headers["ETag"] = f'"{cart.cart.tag}"'
    response.headers["Cache-Control"] = "no-store"
    return CartView.of(cart)
