"""Following one order: server-sent events, each the whole order as it is by then."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header, Request
from fastapi.responses import StreamingResponse
from pizzeria_chassis.openapi import problems

from order_service.app import OrderService
from order_service.domain.order import Order
from order_service.entrypoints.orders import UNKNOWN, OrderId, Reader, whose
from order_service.entrypoints.views import render_order
from order_service.use_cases.ports import Watch

HEARTBEAT_SECONDS = 5.0

LastEventId = Annotated[
    str | None,
    Header(
        alias="Last-Event-ID",
        max_length=100,
        description="The id of the last event that you have seen; what has changed since then comes at once.",
    ),
]


def live_router(service: OrderService, watch: Watch) -> APIRouter:
    router = APIRouter(prefix="/orders", tags=["orders"])

    @router.get(
        "/{order_id}/live",
        response_class=StreamingResponse,
        responses={
            200: {
                "content": {"text/event-stream": {}},
                "description": "An event `order` for each change, its id the version; the last one ends it. "
                "Who comes back with its id gets the event `end`.",
            },
            **problems(_401="Unknown token.", _403="Wrong role.", _404=UNKNOWN),
        },
    )
    async def live(
        reader: Reader, order_id: OrderId, request: Request, last_event_id: LastEventId = None
    ) -> StreamingResponse:
        """Follow an order until it ends. Hints make it prompt, a look with each heartbeat makes it sure."""
        await service.orders.one(order_id, whose(reader))
        events = _follow(service, watch, order_id, whose(reader), last_event_id, request.app.state.stopping)
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(events, media_type="text/event-stream", headers=headers)

    return router


async def _follow(
    service: OrderService,
    watch: Watch,
    order_id: str,
    customer_id: str | None,
    seen: str | None,
    stopping: asyncio.Event,
) -> AsyncIterator[str]:
    async with watch.following(order_id) as changed:
        yield "retry: 1000\n\n"
        while not stopping.is_set():
            changed.clear()
            order = await service.orders.one(order_id, customer_id)
            # An id is a version: whoever comes back with it gets what is newer, also from another replica.
            if str(order.version) != seen:
                seen = str(order.version)
                yield _event(order)
            elif order.ended:
                yield "event: end\n\n"  # there is nothing to come back for
            else:
                yield ": still here\n\n"
            if order.ended:
                return
            await _either(changed, stopping, HEARTBEAT_SECONDS)


def _event(order: Order) -> str:
    return f"event: order\nid: {order.version}\ndata: {render_order(order)}\n\n"


async def _either(one: asyncio.Event, other: asyncio.Event, seconds: float) -> None:
    """Return when either is set, or after that time."""
    waits = {asyncio.create_task(event.wait()) for event in (one, other)}
    try:
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
