"""What is asked of the server about one lock. Each verb is one script and one round trip."""

import time
from binascii import crc32
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

from rediscore.client import RedisConnections
from rediscore.keys import KeySpace
from rediscore.lock.wakeups import Turn
from rediscore.retry import RetryBudget, run_idempotent
from rediscore.scripts import Argument, Script

HEARTBEAT_MS: Final = 3000
"""So long after its last call a waiter counts as waiting; and so long it holds a lock that was given to it
in line, unless it prolongs that."""

_KEYS: Final = ("held", "line", "heartbeats")


@lru_cache(maxsize=1024)
def _keys_of(keys: KeySpace, name: str) -> tuple[str, list[str]]:
    # The name may be any text, so the tag, which decides the slot, is made of its checksum.
    base = keys.key("lock", tag=f"lock:{crc32(name.encode()):08x}")
    return base, [f"{base}:{key}:{name}" for key in _KEYS]


class Verbs:
    """Acquire, extend and release of one lock for one owner; each is safe to send twice.

    Args:
        owner: `channel#unique`: where the owner hears that it has the lock, and who it is.
        retry: how long what was not answered is repeated; None: as in the settings.
        now_us: only for tests, instead of the server's clock.
    """

    def __init__(
        self,
        connections: RedisConnections,
        keys: KeySpace,
        name: str,
        owner: str,
        *,
        retry: RetryBudget | None = None,
        now_us: Callable[[], int] | None = None,
    ) -> None:
        self.owner = owner
        self.first_sent_at = self.sent_at = 0.0
        """When the first and the last request began, `time.monotonic()`."""
        self._connections = connections
        base, shared = _keys_of(keys, name)
        self._keys = [*shared, f"{base}:gone:{owner}"]
        self._retry = retry or connections.settings.retry
        self._now_us = now_us
        self._sent = 0
        self._answered = 0

    @property
    def in_doubt(self) -> bool:
        """Whether the answer to a request is missing, so the server may have done it or may do it yet."""
        return self._sent != self._answered

    async def acquire(self, lease_ms: int, *, stand_in_line: bool) -> tuple[int, float]:
        """The fencing token, or 0 and the seconds until the holder's lease ends if it is not renewed."""
        token, left = await self._repeated("acquire", lease_ms, 1 if stand_in_line else 0)
        return token, left / 1000

    def counts_from(self, turn: Turn) -> float:
        """The lock was given to this owner for a heartbeat; since when that runs, `time.monotonic()`.

        Later than that it may count, but not earlier: the server's reckoning began with our request.
        """
        return self.first_sent_at if turn.since_arrival else self.sent_at

    async def extend(self, lease_ms: int) -> bool:
        """Whether the owner holds the lock, for a full lease from now. Sent once."""
        return bool(await self._run("extend", lease_ms))

    async def release(self) -> bool:
        """Neither hold the lock nor wait for it any more; False when it was lost before.

        A request whose answer is missing may still be on its way: the server will refuse it.
        """
        before = self._sent
        refuse_ms = self._connections.settings.repeat_ms if self.in_doubt else 0
        held = await self._repeated("release", refuse_ms)
        # After a lost answer 0 may mean that the first sending has done it.
        return bool(held) or self._sent - before > 1

    async def _repeated(self, verb: str, *args: Argument) -> Any:
        async def once() -> Any:
            self._sent += 1
            reply = await self._run(verb, *args)
            self._answered += 1
            return reply

        return await run_idempotent(once, policy=self._retry)

    async def _run(self, verb: str, *args: Argument) -> Any:
        script = Script.load("rediscore.lock", f"lua/{verb}.lua")
        self.sent_at = time.monotonic()
        self.first_sent_at = self.first_sent_at or self.sent_at
        now: Argument = self._now_us() if self._now_us is not None else ""
        return await script(self._connections, keys=self._keys, args=[now, self.owner, HEARTBEAT_MS, *args])
