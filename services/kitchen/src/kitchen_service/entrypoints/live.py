"""Live hints as server-sent events: "look again", never facts."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse
from pizzeria_chassis.openapi import problems
from pizzeria_contracts.channels import LIVE_KITCHEN
from rediscore.pubsub import LiveChannels

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
    heard: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()

    async def hear() -> None:
        async for hint in channels.listen(LIVE_KITCHEN):
            heard.put_nowait(hint)

    async def end() -> None:
        await stopping.wait()
        heard.put_nowait(None)

    tasks = [asyncio.create_task(hear(), name="live-hear"), asyncio.create_task(end(), name="live-end")]
    try:
        yield ": listening\n\n"
        while True:
            try:
                async with asyncio.timeout(KEEP_ALIVE_SECONDS):
                    hint = await heard.get()
            except TimeoutError:
                yield ": still here\n\n"
                continue
            if hint is None:
                return
            yield f"event: changed\ndata: {json.dumps(hint)}\n\n"
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
