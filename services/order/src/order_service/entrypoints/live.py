"""Following one order: server-sent events, each the whole order as it is by then."""

import asyncio
from collections.abc import AsyncIterator

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse
from pizzeria_chassis.openapi import problems
from pizzeria_contracts.channels import live_order
from rediscore.pubsub import LiveChannels

from order_service.app import OrderService
from order_service.domain.order import Order
from order_service.entrypoints.orders import UNKNOWN, OrderId, Reader, whose
from order_service.entrypoints.views import render_order

LOOK_AGAIN_SECONDS = 2.0


def live_router(service: OrderService, channels: LiveChannels) -> APIRouter:
    router = APIRouter(prefix="/orders", tags=["orders"])

    @router.get(
        "/{order_id}/live",
        response_class=StreamingResponse,
        responses={
            200: {"content": {"text/event-stream": {}}, "description": "An event `order` for each change."},
            **problems(_401="Unknown token.", _403="Wrong role.", _404=UNKNOWN),
        },
    )
    async def live(reader: Reader, order_id: OrderId, request: Request) -> StreamingResponse:
        """Follow an order until it ends. Hints make it prompt, looking again every 2 s makes it sure."""
        await service.orders.one(order_id, whose(reader))
        events = _follow(service, channels, order_id, whose(reader), request.app.state.stopping)
        return StreamingResponse(
            events, media_type="text/event-stream", headers={"Cache-Control": "no-store"}
        )

    return router


async def _follow(
    service: OrderService,
    channels: LiveChannels,
    order_id: str,
    customer_id: str | None,
    stopping: asyncio.Event,
) -> AsyncIterator[str]:
    hinted = asyncio.Event()

    async def hear() -> None:
        async for _ in channels.listen(live_order(order_id)):
            hinted.set()

    hearing = asyncio.create_task(hear(), name=f"live:{order_id}")
    try:
        shown = 0
        while not stopping.is_set():
            hinted.clear()
            order = await service.orders.one(order_id, customer_id)
            if order.version != shown:
                shown = order.version
                yield _event(order)
            else:
                yield ": still here\n\n"
            if order.ended:
                return
            await _either(hinted, stopping, LOOK_AGAIN_SECONDS)
    finally:
        hearing.cancel()
        await asyncio.gather(hearing, return_exceptions=True)


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
