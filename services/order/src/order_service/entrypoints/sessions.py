"""Sessions over HTTP: sign in, here and elsewhere, and out."""

from contextlib import suppress
from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pizzeria_chassis.openapi import problems

from order_service.app import OrderService
from order_service.domain.errors import CartsUnavailable
from order_service.entrypoints.bodies import SignIn
from order_service.entrypoints.cart import CartToken
from order_service.entrypoints.guests import Guest
from order_service.entrypoints.limits import Limits
from order_service.entrypoints.views import SessionView
from order_service.use_cases.cart_ports import Owner

Bearer = Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer(auto_error=False))]


def sessions_router(service: OrderService, limits: Limits) -> APIRouter:
    router = APIRouter(tags=["sessions"])
    refusals = problems(_401="Unknown token.", _403="Wrong role.")
    too_many = problems(_429="Too many new sessions from your address; see RateLimit and Retry-After.")

    @router.post(
        "/sessions",
        status_code=201,
        dependencies=[limits.sessions],
        responses=too_many,
    )
    async def sign_in(body: SignIn, cart_token: CartToken = None) -> SessionView:
        """Sign in as a new guest, who takes over the cart of a Cart-Token. The token is shown this once."""
        opened = await service.sessions.open(body.name, body.phone, body.email)
        if cart_token is not None:
            # While the carts are away it stays where it is: POST /cart/merge.
            with suppress(CartsUnavailable):
                await service.cart.merge(Owner.guest(opened.customer_id), Owner.bearer(cart_token))
        return SessionView.model_validate(vars(opened))

    @router.post("/sessions/rotate", status_code=201, responses=refusals)
    async def rotate(_: Guest, bearer: Bearer) -> SessionView:
        """Swap your token for a new one; the old one is dead at once."""
        return SessionView.model_validate(vars(await service.sessions.rotate(bearer.credentials)))

    @router.post(
        "/me/sessions", status_code=201, dependencies=[limits.sessions], responses=refusals | too_many
    )
    async def sign_in_elsewhere(guest: Guest) -> SessionView:
        """A token of yours for another device. The oldest of more than 20 sessions ends."""
        return SessionView.model_validate(vars(await service.sessions.open_another(guest.id)))

    @router.delete("/sessions/current", status_code=204, responses=refusals)
    async def sign_out(_: Guest, bearer: Bearer) -> None:
        """End this session."""
        await service.sessions.close(bearer.credentials)

    @router.delete("/sessions", status_code=204, responses=refusals)
    async def sign_out_everywhere(guest: Guest) -> None:
        """End all of your sessions, this one too."""
        await service.sessions.close_all(guest.id)

    return router
