"""The shop's composition root: it tells orders.events of visits and counts what the kitchen started."""

import asyncio

import structlog
from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import StreamingResponse
from pizzeria_chassis.chassis import Chassis
from pizzeria_chassis.hint_stream import hint_stream
from pizzeria_chassis.pages import Page
from pizzeria_chassis.settings import Port, ServiceSettings
from pizzeria_chassis.transaction import Transaction
from pizzeria_contracts.events import CancellationRequested, TicketStarted
from pizzeria_contracts.streams import KITCHEN, ORDERS
from rediscore.streams.event import CloudEvent

HINTS = "live.shop"
_log = structlog.get_logger(__name__)


class ShopSettings(ServiceSettings):
    service_name: str = "shop"
    port: Port = 8001


def create(settings: ShopSettings) -> FastAPI:
    chassis = Chassis(settings, package="shop", description="A shop.", publishes=ORDERS)
    kitchen = chassis.consumer(KITCHEN, upstream=settings.kitchen_url)

    @kitchen.on(TicketStarted)
    async def started(tx: Transaction, event: CloudEvent[TicketStarted]) -> None:
        await tx.append(CancellationRequested(reason="test"), subject=event.subject)

    kitchen.ignore_rest()
    chassis.page(Page("visits", "Visits", __package__))
    return chassis.app(_router(chassis))


def _router(chassis: Chassis) -> APIRouter:
    router = APIRouter()

    @router.post("/visits/{order_id}", status_code=201)
    async def visit(order_id: str) -> dict[str, str]:
        async def work(tx: Transaction) -> str:
            return (await tx.append(CancellationRequested(reason="test"), subject=order_id)).id

        return {"event_id": await chassis.database.transact(work)}

    @router.get("/hints")
    async def hints(request: Request) -> StreamingResponse:
        return hint_stream(request, chassis.live, HINTS)

    @router.get("/slow")
    async def slow(seconds: float) -> str:
        _log.info("work_began")
        await asyncio.sleep(seconds)
        return "done"

    @router.get("/wait")
    async def wait(request: Request) -> str:
        _log.info("work_began")
        await request.app.state.stopping.wait()
        return "stopping"

    return router
