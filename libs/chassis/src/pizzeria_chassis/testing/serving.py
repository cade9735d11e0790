"""Apps behind a real socket, in the process of the test."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator

import uvicorn
from rediscore.testing import eventually
from starlette.types import ASGIApp

__all__ = ["serving"]


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # signals are pytest's


@contextlib.asynccontextmanager
async def serving(app: ASGIApp) -> AsyncIterator[str]:
    """Start the app on a free port and yield its address; at the end it stops as a process would."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = _Server(uvicorn.Config(app, lifespan="on", log_config=None, timeout_graceful_shutdown=5))
        task = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            await eventually(lambda: server.started or task.done(), within=20, what="server started")
            if not server.started:
                raise RuntimeError("The app did not start; its log says why.")
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            if (stopping := getattr(getattr(app, "state", None), "stopping", None)) is not None:
                stopping.set()  # as on SIGTERM: streams end
            server.should_exit = True
            await task
