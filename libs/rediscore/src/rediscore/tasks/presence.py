"""Who works on the tasks, and what has ended lately: what workers say with each heartbeat."""

import asyncio
import contextlib
import logging
import os
import socket
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from pydantic_core import from_json, to_json
from redis.exceptions import RedisError

from rediscore.client import RedisConnections
from rediscore.keys import KeySpace
from rediscore.queue.wire import at, ms
from rediscore.scripts import Argument, Script

log = logging.getLogger(__name__)

Outcome = Literal["succeeded", "failed", "dead", "expired", "cancelled"]

BEAT: Final = timedelta(seconds=2)
ALIVE_FOR: Final = 4 * BEAT
_KEPT: Final = 500
_TOLD_AT_ONCE: Final = 100
_KEPT_FOR: Final = timedelta(days=1)
_LONGEST: Final = 300


@dataclass(frozen=True, slots=True)
class WorkerAlive:
    """What a worker said with its last heartbeat."""

    name: str
    host: str
    pid: int
    started_at: datetime
    concurrency: int
    running: dict[str, datetime]
    """Id of each call and when this attempt began."""
    counts: dict[str, int]
    """Since it was started."""


@dataclass(frozen=True, slots=True)
class EndedCall:
    """One attempt that has ended."""

    id: str
    task: str
    outcome: Outcome
    """failed: it will be tried again; cancelled: by somebody, or because its lease was lost."""
    ended_at: datetime
    seconds: float
    attempt: int
    worker: str
    reason: str


@dataclass(frozen=True, slots=True)
class Watched:
    """What the workers have said."""

    workers: list[WorkerAlive]
    ended: list[EndedCall]
    kept: int
    """How many ended calls there are to be asked for."""


class Presence:
    """Heartbeats of the workers, and the last 500 ends of attempts, for a day.

    A busy worker tells of the last 100 ends of each heartbeat: it is a look at what happens, no record.
    """

    def __init__(self, connections: RedisConnections, name: str, keys: KeySpace) -> None:
        tag = f"{keys.prefix}:{name}"
        self._connections = connections
        self._keys = [keys.key("tasks", key, tag=tag) for key in ("workers", "alive", "ended")]

    async def beat(self, name: str, words: Mapping[str, Any] | None, ended: "Ends") -> None:
        """Say what `words` say, or that the worker leaves (None), and what has ended. One round trip.

        Raises: redis-py's error; then say it again with the next one.
        """
        lately = list(ended.untold)
        told: list[Argument] = []
        for ended_ms, *end in lately:
            told += (ended_ms, to_json([ended_ms, *end]))
        said = b"" if words is None else to_json(words)
        script = Script.load("rediscore.tasks", "lua/beat.lua")
        arguments = (name, said, ms(ALIVE_FOR), _KEPT, ms(_KEPT_FOR), *told)
        await script(self._connections, keys=self._keys, args=arguments, idempotent=True)
        ended.told(lately)

    async def watch(self, *, most: int = 0, skip: int = 0) -> Watched:
        """The workers alive by name, and up to `most` of what has ended, newest first. One round trip."""
        script = Script.load("rediscore.tasks", "lua/watch.lua")
        kept, workers, ended = await script(
            self._connections, keys=self._keys, args=(most, skip), idempotent=True
        )
        alive = [_worker_of(*pair) for pair in zip(workers[::2], workers[1::2], strict=True)]
        alive.sort(key=lambda worker: worker.name)
        return Watched(alive, [_end_of(end) for end in ended], kept)


class Ends:
    """What has ended in one worker and is not yet told; the last 100."""

    def __init__(self, worker: str) -> None:
        self.untold: deque[tuple[int, str, str, str, float, int, str, str]] = deque(maxlen=_TOLD_AT_ONCE)
        self._worker = worker

    def add(self, call: str, task: str, outcome: Outcome, seconds: float, attempt: int, reason: str) -> None:
        """It has ended just now."""
        ended_ms = int(time.time() * 1000)
        self.untold.append((ended_ms, call, task, outcome, seconds, attempt, self._worker, reason[:_LONGEST]))

    def told(self, lately: list[tuple[int, str, str, str, float, int, str, str]]) -> None:
        """These need not be told again."""
        known = set(lately)
        left = [end for end in self.untold if end not in known]
        self.untold.clear()
        self.untold.extend(left)


def this_process() -> dict[str, Any]:
    """Where a worker runs."""
    return {"host": socket.gethostname(), "pid": os.getpid()}


async def tell(
    presence: Presence,
    name: str,
    words: Callable[[], Mapping[str, Any]],
    ends: Ends,
    heard: Callable[[str], None],
) -> None:
    """Beat every two seconds, for ever; cancelled, say that the worker leaves. `heard` is told why a beat was
    not heard, '' = it was."""
    try:
        while True:
            try:
                await presence.beat(name, words(), ends)
            except (RedisError, OSError) as error:
                log.info("task_heartbeat_lost", extra={"error": type(error).__name__})
                heard(f"Redis is away: {type(error).__name__}")
            else:
                heard("")
            await asyncio.sleep(BEAT.total_seconds())
    finally:
        with contextlib.suppress(RedisError, OSError, TimeoutError):
            async with asyncio.timeout(1):
                await presence.beat(name, None, ends)


def _worker_of(name: bytes, words: bytes) -> WorkerAlive:
    said = from_json(words)
    return WorkerAlive(
        name=name.decode(),
        host=said["host"],
        pid=said["pid"],
        started_at=at(said["started_ms"]),
        concurrency=said["concurrency"],
        running={call: at(began_ms) for call, began_ms in said["running"].items()},
        counts=said["counts"],
    )


def _end_of(told: bytes) -> EndedCall:
    ended_ms, call, task, outcome, seconds, attempt, worker, reason = from_json(told)
    return EndedCall(call, task, outcome, at(ended_ms), seconds, attempt, worker, reason)
