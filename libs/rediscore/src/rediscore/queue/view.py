"""Looking into a queue without changing it."""

from collections.abc import Callable, Sequence
from typing import Any, Final

from rediscore.client import RedisConnections
from rediscore.keys import KeySpace
from rediscore.queue.entries import QueueAudit, QueuedEntry, QueueStats, State
from rediscore.queue.wire import AT_ONCE, entry_of
from rediscore.scripts import Argument, Script

# In the order of KEYS in lua/lib.lua.
STATES: Final = ("ready", "delayed", "leased", "dead", "done")
_KEYS: Final = (*STATES, "entries", "claims", "marker")
_WITH_RESULT: Final = 3  # arguments: id, token, result
_MOST_FAULTS: Final = 100


class QueueView:
    """What `PriorityQueue` shows. Nothing falls due by being looked at: claims do that."""

    def __init__(
        self,
        connections: RedisConnections,
        name: str,
        *,
        keys: KeySpace,
        limits: tuple[int, int, int],
        now_ms: Callable[[], int] | None,
    ) -> None:
        tag = f"{keys.prefix}:{name}"
        self.name = name
        self.results_channel = keys.key("queue", "results", tag=tag)
        """Says the id of an entry whose result has come; `rediscore.pubsub` tells how to listen."""
        self._connections = connections
        self._keys = [keys.key("queue", key, tag=tag) for key in _KEYS]
        self._results_key = keys.key("queue", "result", tag=tag)
        self._unique_key = keys.key("queue", "unique", tag=tag)
        self._limits = limits
        self._now_ms = now_ms

    async def result(self, entry_id: str) -> bytes | None:
        """What came of the entry, for `result_ttl` after its end. One round trip."""
        found: bytes | None = await self._connections.execute(
            "GET", f"{self._results_key}:{entry_id}", idempotent=True
        )
        return found

    async def contains(self, entry_ids: Sequence[str]) -> list[bool]:
        """For each id whether the queue holds it: ready, delayed, leased or dead. 1000 in a round trip."""
        return [known == 1 for known in await self._each("contains", (), entry_ids)]

    async def peek(self, n: int = 10, *, state: State = "ready", skip: int = 0) -> list[QueuedEntry]:
        """Up to `n` entries (1000 at most) of one state, after the first `skip`: in the order in which they
        will be taken, fall due or run out, or have died."""
        return [entry_of(row, state) for row in await self._run("peek", state, skip, min(n, AT_ONCE))]

    async def position(self, entry_id: str) -> int | None:
        """How many entries go before it; None when it is not ready."""
        position: int | None = await self._run("position", entry_id)
        return position

    async def stats(self) -> QueueStats:
        """How much there is in each state, from one instant."""
        ready, delayed, leased, dead, oldest_ms = await self._run("stats")
        return QueueStats(ready, delayed, leased, dead, oldest_ms / 1000 if oldest_ms >= 0 else None)

    async def audit(self, *, page: int = 200) -> QueueAudit:
        """Whether all that the queue has fits together: every record in the set of its state and in no
        other one, every claim held by what it names, no number that was never given.

        For operators and tests; the queue goes on meanwhile. A page is looked at in one instant, so what is
        told is a fault; an entry that comes during the audit may be left out. A round trip per page.
        """
        checked, faults = 0, []
        for what in ("entries", "claims", *STATES):
            cursor: bytes = b"0"
            while True:
                cursor, seen, *told = await self._run("audit", what, cursor, page)
                checked += seen if what == "entries" else 0
                faults += [fault.decode(errors="replace") for fault in told]
                if cursor == b"0":
                    break
                if len(faults) >= _MOST_FAULTS:
                    return QueueAudit(checked, faults)
        return QueueAudit(checked, faults)

    async def _each(
        self, verb: str, options: Sequence[Argument], items: Sequence[Argument], *, width: int = 1
    ) -> list[int]:
        """A verb that takes many entries, `width` arguments each, and answers for each."""
        replies: list[int] = []
        for first in range(0, len(items), width * AT_ONCE):
            part = items[first : first + width * AT_ONCE]
            results = part if width == _WITH_RESULT else ()
            replies += await self._run(verb, *options, *part, results_of=results)
        return replies

    async def _run(
        self, verb: str, *args: Argument, results_of: Sequence[Argument] = (), unique: str = ""
    ) -> Any:
        """`results_of`: id, token, result of entries, whose result keys the script needs; as of `unique`."""
        script = Script.load("rediscore.queue", f"lua/{verb}.lua")
        now: Argument = self._now_ms() if self._now_ms is not None else ""
        keys = self._keys
        if results_of:
            with_result = zip(results_of[::3], results_of[2::3], strict=True)
            keys = keys + [f"{self._results_key}:{entry_id!s}" for entry_id, result in with_result if result]
        if unique:
            keys = [*keys, f"{self._unique_key}:{unique}"]
        return await script(self._connections, keys=keys, args=[now, *self._limits, *args], idempotent=True)
