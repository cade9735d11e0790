"""Apps behind a real socket, in the process of the test."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator

import uvicorn
from rediscore.testing import eventually
from starlette.types import ASGIApp

__all__ = ["Server", "serving"]

GRACE = 30.0


class Server(uvicorn.Server):
    """It ends when asked to. Of uvicorn a test would wait for the next tenth of a second, at each server."""

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(uvicorn.Config(app, lifespan="on", log_config=None, timeout_keep_alive=60))
        self._app = app
        self._asked = asyncio.Event()

    def end(self) -> None:
        if (stopping := getattr(getattr(self._app, "state", None), "stopping", None)) is not None:
            stopping.set()  # as on SIGTERM: streams end
        self._asked.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # signals are pytest's

    async def main_loop(self) -> None:
        await self.on_tick(0)
        await self._asked.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        at_work = self.server_state.tasks
        with contextlib.suppress(AssertionError):
            await eventually(lambda: not (self.server_state.connections or at_work), within=GRACE)
        for task in at_work:
            task.cancel()
        await self.lifespan.shutdown()


@contextlib.asynccontextmanager
async def serving(app: ASGIApp) -> AsyncIterator[str]:
    """Start the app on a free port and yield its address; at the end it stops as a process would."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Server(app)
        task = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            await eventually(lambda: server.started or task.done(), within=40, what="server started")
            if not server.started:
                raise RuntimeError("The app did not start; its log says why.")
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.end()
            await task
