"""A Redis of the run's own that writes its log and can be cut off as by a power failure."""

import asyncio
import random
import time
from collections import deque
from pathlib import Path
from typing import Final, Literal

from rediscore.embedded import EmbeddedServer

Fsync = Literal["always", "everysec"]

_LOST_SECONDS: Final = 1.0
_LOOK: Final = 0.05


class AofServer:
    """Redis with an append-only file.

    `always`: what was answered is on disk, so a kill may lose nothing. `everysec`: a power failure loses up
    to a second of what was answered. A kill alone would not show that (the kernel still has what the
    process wrote), so `cut` removes up to a second from the end of the file as well.
    """

    def __init__(self, folder: Path, fsync: Fsync) -> None:
        self.fsync = fsync
        self.server = EmbeddedServer(folder, options={"appendfsync": fsync})
        self.restarts: list[str] = []
        self._folder = folder
        self._lengths: deque[tuple[float, Path, int]] = deque(maxlen=round(2 * _LOST_SECONDS / _LOOK))

    async def watch(self) -> None:
        """Note how long the file was when; ends by cancellation."""
        while True:
            file = self._file()
            self._lengths.append((time.monotonic(), file, file.stat().st_size))
            await asyncio.sleep(_LOOK)

    def restart(self) -> None:
        """In good order."""
        self.server.restart()
        self.restarts.append("restart")

    def cut(self, chance: random.Random) -> None:
        """By SIGKILL, and with `everysec` by the loss of up to a second. Blocks for some 100 ms."""
        self.server.kill()
        lost = 0
        if self.fsync == "everysec":
            since, file = time.monotonic() - chance.uniform(0.2, _LOST_SECONDS), self._file()
            synced = [length for at, name, length in self._lengths if at <= since and name == file]
            if synced:
                lost = file.stat().st_size - synced[-1]
                with file.open("r+b") as log:
                    log.truncate(synced[-1])
        self.server.start()
        self.restarts.append(f"kill -9, {lost} bytes lost")

    def _file(self) -> Path:
        return max(self._folder.glob("appendonlydir/*.incr.aof"), key=lambda path: path.stat().st_mtime)
