"""Live hints as server-sent events: "look again", never facts."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse
from pizzeria_chassis.openapi import problems
from pizzeria_contracts.channels import LIVE_KITCHEN
from rediscore.streams.live import LiveChannels

from kitchen_service.entrypoints.parameters import Staff

KEEP_ALIVE_SECONDS: Final = 15.0


def live_router(channels: LiveChannels) -> APIRouter:
    router = APIRouter(tags=["live"])

    @router.get(
        "/live",
        response_class=StreamingResponse,
        responses={
            200: {"description": "Hints, for ever.", "content": {"text/event-stream": {}}},
            **problems(_401="Unknown token.", _403="Wrong role."),
        },
    )
    async def live(request: Request, _: Staff) -> StreamingResponse:
        """`event: changed` with the order's id whenever something has changed; hints may get lost."""
        hints = _hints(channels, request.app.state.stopping)
        return StreamingResponse(hints, media_type="text/event-stream", headers={"Cache-Control": "no-store"})

    return router


async def _hints(channels: LiveChannels, stopping: asyncio.Event) -> AsyncIterator[str]:
    yield ": listening\n\n"
    async with aclosing(channels.listen(LIVE_KITCHEN)) as hints:
        stop = asyncio.create_task(stopping.wait())
        hint = asyncio.create_task(anext(hints))
        try:
            while not stop.done():
                await asyncio.wait(
                    {stop, hint}, timeout=KEEP_ALIVE_SECONDS, return_when=asyncio.FIRST_COMPLETED
                )
                if hint.done():
                    yield f"event: changed\ndata: {json.dumps(hint.result())}\n\n"
                    hint = asyncio.create_task(anext(hints))
                elif not stop.done():
                    yield ": still here\n\n"
        finally:
            stop.cancel()
            hint.cancel()
            await asyncio.wait({stop, hint})
