"""Live hints of the kitchen."""

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse
from pizzeria_chassis.hint_stream import HINTS, hint_stream
from pizzeria_chassis.openapi import problems
from pizzeria_contracts.channels import LIVE_KITCHEN
from rediscore.pubsub import LiveChannels

from kitchen_service.entrypoints.parameters import Staff


def live_router(channels: LiveChannels) -> APIRouter:
    router = APIRouter(tags=["live"])

    @router.get(
        "/live",
        response_class=StreamingResponse,
        responses={**HINTS, **problems(_401="Unknown token.", _403="Wrong role.")},
    )
    async def live(request: Request, _: Staff) -> StreamingResponse:
        """`event: changed` with the order's id whenever something has changed; hints may get lost."""
        return hint_stream(request, channels, LIVE_KITCHEN)

    return router
