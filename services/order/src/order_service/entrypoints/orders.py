"""Orders over HTTP: place, look, cancel."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query, Response
from pizzeria_chassis.auth import Principal, require
from pizzeria_chassis.openapi import problems

from order_service.app import OrderService
from order_service.domain.errors import UnknownOrder
from order_service.domain.order import PaymentStatus
from order_service.domain.records import OrderFilter
from order_service.domain.states import Status
from order_service.entrypoints.bodies import OrderBody
from order_service.entrypoints.guests import Guest
from order_service.entrypoints.limits import Limits
from order_service.entrypoints.views import JourneyLine, JourneyPage, OrderPage, OrderView
from order_service.use_cases.place_order import Placed, RequestKey

Reader = Annotated[Principal, Depends(require("customer", "manager"))]
Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern=r"^[\x20-\x7e]+$",
        description="Makes a repeat of this request harmless for 24 hours: it gets the same answer.",
    ),
]


def _canonical(order_id: str) -> str:
    # What is no id is no order; it must not get as far as the database either.
    try:
        return str(UUID(order_id))
    except ValueError:
        raise UnknownOrder from None


OrderId = Annotated[str, Depends(_canonical)]

UNKNOWN = "No such order among those that you may see."


def whose(reader: Principal) -> str | None:
    """Whose orders the caller may see; None: all."""
    return reader.id if reader.kind == "customer" else None


def placed_answer(placed: Placed) -> Response:
    headers = {"Location": f"/orders/{placed.order_id}"}
    if placed.replayed:
        headers["Idempotency-Replayed"] = "true"
    return Response(placed.body, 201, headers, "application/json")


def orders_router(service: OrderService, limits: Limits) -> APIRouter:
    router = APIRouter(
        prefix="/orders", tags=["orders"], responses=problems(_401="Unknown token.", _403="Wrong role.")
    )

    @router.post(
        "",
        status_code=201,
        response_model=OrderView,
        dependencies=[limits.orders],
        responses=problems(
            _400="The body is not JSON.",
            _409="The key belongs to another order, or its first request is still running (Retry-After).",
            _429="Too many orders of yours, or in the kitchen; see RateLimit and Retry-After.",
            _503="No menu to price by, or no database; see Retry-After.",
        ),
    )
    async def place(guest: Guest, body: OrderBody, key: Key = None) -> Response:
        """Place an order. It is accepted for good when this answers 201."""
        request = RequestKey(key, body.fingerprint()) if key is not None else None
        return placed_answer(await service.place_order(body.wanted(guest.id), request))

    @router.get("")
    async def find(
        reader: Reader,
        status: Status | None = None,
        payment: PaymentStatus | None = None,
        after: Annotated[
            str | None, Query(pattern=r"^[0-9a-f-]{36}$", description="`next` of the page before.")
        ] = None,
        limit: Annotated[int, Query(ge=1, le=100)] = 50,
    ) -> OrderPage:
        """Your orders, newest first; a manager sees all."""
        wanted = OrderFilter(whose(reader), status, payment, after, limit)
        found = await service.orders.some(wanted)
        return OrderPage(
            items=tuple(map(OrderView.of, found)), next=found[-1].id if len(found) == limit else None
        )

    @router.get("/{order_id}", responses=problems(_404=UNKNOWN))
    async def show(reader: Reader, order_id: OrderId) -> OrderView:
        """One order as it is now."""
        return OrderView.of(await service.orders.one(order_id, whose(reader)))

    @router.get("/{order_id}/journey", responses=problems(_404=UNKNOWN))
    async def journey(reader: Reader, order_id: OrderId) -> JourneyPage:
        """All that happened to one order, in time order: events, states, tries, leases, dead letters.

        `missing` names who did not answer; then there may be more.
        """
        found = await service.journey(order_id, whose(reader))
        return JourneyPage(items=tuple(map(JourneyLine.of, found.entries)), next=None, missing=found.missing)

    @router.post(
        "/{order_id}/cancel",
        responses={
            202: {"model": OrderView, "description": "The kitchen decides; look again."},
            **problems(_404=UNKNOWN, _409="Cooking has begun."),
        },
    )
    async def cancel(guest: Guest, order_id: OrderId, response: Response) -> OrderView:
        """Cancel an order while that is possible. Repeats are harmless."""
        order, decided = await service.cancel_order(order_id, guest.id)
        response.status_code = 200 if decided else 202
        return OrderView.of(order)

    return router
