"""Live hints as server-sent events: "look again", never facts."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any, Final

from fastapi import Request
from fastapi.responses import StreamingResponse
from rediscore.pubsub import LiveChannels

__all__ = ["HINTS", "hint_stream"]

KEEP_ALIVE_SECONDS: Final = 15.0
HINTS: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "Hints, for ever.", "content": {"text/event-stream": {}}}
}
"""What a route that answers with a `hint_stream` says of itself in the OpenAPI document."""


def hint_stream(request: Request, channels: LiveChannels, channel: str) -> StreamingResponse:
    """Answer with `event: changed` for each hint on a channel until the client leaves or the service stops.

    Hints may get lost; an empty one says that some were. A comment every 15 s keeps the way open.
    """
    return StreamingResponse(
        _events(channels, channel, request.app.state.stopping),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store"},
    )


async def _events(channels: LiveChannels, channel: str, stopping: asyncio.Event) -> AsyncIterator[str]:
    heard: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue(
        1
    )  # who reads slowly is told that it missed some

    async def hear() -> None:
        async with aclosing(channels.listen(channel)) as hints:
            async for hint in hints:
                await heard.put(hint)

    async def end() -> None:
        await stopping.wait()
        await heard.put(None)

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
