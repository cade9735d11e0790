"""Live hints: what is counted has changed."""

from fastapi import APIRouter, Depends, Request
from fastapi.responses import StreamingResponse
from pizzeria_chassis.auth import require
from pizzeria_chassis.hint_stream import HINTS, hint_stream
from pizzeria_contracts.channels import LIVE_ANALYTICS
from rediscore.pubsub import LiveChannels

from analytics_service.routes import STAFF


def live_router(channels: LiveChannels) -> APIRouter:
    router = APIRouter(tags=["live"], dependencies=[Depends(require("manager"))])

    @router.get("/live", response_class=StreamingResponse, responses={**HINTS, **STAFF})
    async def live(request: Request) -> StreamingResponse:
        """`event: changed` with the number of the newest counted event; hints may get lost."""
        return hint_stream(request, channels, LIVE_ANALYTICS)

    return router
