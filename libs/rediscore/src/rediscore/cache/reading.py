"""Reading entries: never for longer than the patience of the cache, never an error for its callers."""

import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from enum import Enum
from typing import Final, Generic, TypeVar

from redis.exceptions import RedisError

from rediscore.breaker import CircuitBreaker, CircuitOpen
from rediscore.cache.entry import NONE, PLAIN, header, is_lease
from rediscore.cache.local import LocalCache
from rediscore.cache.policy import Policy
from rediscore.cache.storage import Found, Storage
from rediscore.metrics import Meter
from rediscore.patience import Patience
from rediscore.serialisers import Serialiser, UnreadableValue

log = logging.getLogger(__name__)

T = TypeVar("T")
R = TypeVar("R")

TROUBLE: Final = (RedisError, OSError, CircuitOpen)
"""Redis did not answer, not in time (TimeoutError is an OSError), or refused: go on without it."""

_SAMPLE: Final = 15
"""The time of every 16th read is observed: looking at the clock for each would be felt."""


class Away(Enum):
    """Redis did not answer."""

    AWAY = "away"


AWAY: Final = Away.AWAY


class Seen(Generic[T]):
    """A value that counts, fresh or kept for want of better."""

    __slots__ = ("busy", "due", "fresh", "value")

    def __init__(self, value: T, fresh: bool = True, due: bool = False, busy: bool = False) -> None:
        self.value = value
        self.fresh = fresh
        self.due = due
        """It is time to compute it anew, ahead of its end."""
        self.busy = busy
        """Somebody computes it anew, or it is not to be tried now."""


class Reader(Generic[T]):
    """Looks up entries of one cache, in Redis.

    A cache whose values are fresh as long as they are there is read with a plain GET, until a value with
    tags or a grace shows up; from then on with a script that knows what counts.
    """

    def __init__(
        self,
        storage: Storage,
        serialiser: Serialiser[T],
        policy: Policy,
        *,
        local: LocalCache[T] | None,
        breaker: CircuitBreaker | None,
        meter: Meter,
        name: str,
    ) -> None:
        self._storage = storage
        self._serialiser = serialiser
        self._policy = policy
        self._local = local
        self._breaker = breaker
        self._patience = Patience(policy.patience)
        self._meter = meter
        self._counts = meter.counts
        self._name = name
        self._bare = policy.bare and local is None
        self._answers = True
        self._reads = 0

    def expect_tags(self) -> None:
        """Somebody uses tags: a plain GET does not tell enough any more."""
        self._bare = False

    async def look(self, key: str) -> "Seen[T] | bytes | Away | None":
        """The value; the bytes when they are not readable; None when there is no value that counts."""
        self._reads += 1
        begun = time.perf_counter() if not self._reads & _SAMPLE else 0.0
        reservation = None if self._local is None else self._local.reserve(key)
        try:
            if self._bare:
                if self._breaker is None and self._answers:
                    with self._patience.limit():
                        entry = await self._storage.get(key)
                else:
                    entry = await self._bounded(lambda: self._storage.get(key))
                if entry is None:
                    return None
                if entry.startswith(PLAIN):
                    return Seen(self._serialiser.loads(entry[2:]))
                if (seen := self._bare_value(entry)) is not None:
                    return seen
                if self._bare:
                    return None  # a lease
            found = await self._bounded(lambda: self._storage.read(key))
            if found is None:
                return None
            entry = found.entry
            seen, fresh_for, tagged = self._value(found)
        except UnreadableValue:
            self._counts["unreadable"] += 1
            return entry
        except TROUBLE as error:
            self.troubled(error)
            return AWAY
        finally:
            if begun:
                self._meter.timings["redis"].observe(time.perf_counter() - begun)
        if reservation is not None and self._local is not None and fresh_for > 0:
            self._local.store(reservation, seen.value, fresh_for=fresh_for, tagged=tagged)
        return seen

    async def look_many(self, keys: Iterable[str]) -> dict[str, T]:
        """The fresh ones; when Redis does not answer, the last ones known here."""
        wanted = list(dict.fromkeys(keys))
        reservations = {} if self._local is None else {key: self._local.reserve(key) for key in wanted}
        values: dict[str, T] = {}
        try:
            found = await self._bounded(lambda: self._storage.read_many(wanted))
        except TROUBLE as error:
            self.troubled(error)
            return {key: kept[0] for key in wanted if (kept := self.last_good(key)) is not None}
        for key, one in found.items():
            try:
                seen, fresh_for, tagged = self._value(one)
            except UnreadableValue:
                self._counts["unreadable"] += 1
                continue
            if seen.fresh:
                values[key] = seen.value
                if self._local is not None and fresh_for > 0:
                    self._local.store(reservations[key], seen.value, fresh_for=fresh_for, tagged=tagged)
        return values

    def last_good(self, key: str) -> tuple[T] | None:
        """What this process has read last, not older than the grace: for when there is nothing better."""
        if self._local is None or not self._policy.grace_ms:
            return None
        kept = self._local.last_good(key)
        return None if kept is None or kept[1] > self._policy.grace_ms / 1000 else (kept[0],)

    async def bounded(self, operation: Callable[[], Awaitable[R]]) -> R:
        """Ask Redis for at most `patience`. Raises one of TROUBLE."""
        try:
            return await self._bounded(operation)
        except TROUBLE as error:
            self.troubled(error)
            raise

    async def _bounded(self, operation: Callable[[], Awaitable[R]]) -> R:
        if self._breaker is None:
            with self._patience.limit():
                reply = await operation()
        else:
            async with self._breaker:
                with self._patience.limit():
                    reply = await operation()
        if not self._answers:
            self._back()
        return reply

    def troubled(self, error: BaseException) -> None:
        """Count it, and say it once, not for every caller."""
        self._counts["error"] += 1
        if self._answers:
            self._answers = False
            log.warning("cache_away", extra={"cache": self._name, "error": type(error).__name__})

    def _back(self) -> None:
        self._answers = True
        log.info("cache_back", extra={"cache": self._name})

    def decode(self, entry: bytes) -> T:
        """Raises: UnreadableValue."""
        flags, size, _, _ = header(entry)
        if flags & NONE:
            return None  # type: ignore[return-value] # a factory or a caller has given it: T allows it
        return self._serialiser.loads(entry[size:])

    def _bare_value(self, entry: bytes) -> Seen[T] | None:
        """What a plain GET gave when that is no plain value; None when it is a lease, or does not tell."""
        if is_lease(entry):
            return None
        if header(entry).size > len(PLAIN):
            self._bare = False
            return None
        return Seen(self.decode(entry))

    def _value(self, found: Found) -> tuple[Seen[T], float, bool]:
        """The value, the seconds for which it may be kept in this process, whether it has tags."""
        _, _, ttl_ms, tagged = header(found.entry)
        early = self._policy.early
        until_due = found.fresh_ms - (ttl_ms * (1 - early) if early is not None else 0)
        fresh = found.fresh_ms > 0
        seen = Seen(self.decode(found.entry), fresh, fresh and until_due <= 0, found.busy_ms > 0)
        return seen, until_due / 1000, tagged
