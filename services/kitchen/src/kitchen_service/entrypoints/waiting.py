"""Long answers: until when it is worth waiting."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import Request


@asynccontextmanager
async def nobody_waits(request: Request) -> AsyncIterator[asyncio.Event]:
    """Yield an event that is set when the service stops or the caller has hung up.

    A ticket claimed for a caller who has gone would wait for the end of its lease.
    """
    ended = asyncio.Event()

    async def hung_up() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass
        ended.set()

    async def stopped() -> None:
        await request.app.state.stopping.wait()
        ended.set()

    watches = [asyncio.create_task(hung_up()), asyncio.create_task(stopped())]
    try:
        yield ended
    finally:
        for watch in watches:
            watch.cancel()
        await asyncio.gather(*watches, return_exceptions=True)
