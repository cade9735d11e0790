"""The first level of a cache: values in this process, dropped when anybody changes them in Redis."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import Final, Generic, NamedTuple, TypeVar

from rediscore.clock import Clock
from rediscore.invalidation import Invalidations

T = TypeVar("T")

_REMEMBERED: Final = 4096


class Missing(Enum):
    """What a lookup gives instead of a value; None is a value."""

    MISSING = "missing"


MISSING: Final = Missing.MISSING


@dataclass(frozen=True, slots=True)
class Local:
    """How much of a cache is kept in this process.

    Args:
        max_entries: beyond it the entries not used for longest make room, roughly.
        ttl: longest time that a value is served without asking Redis, whatever its own TTL. Only this
            bounds the age of a value whose invalidation went astray without the feed noticing.

    Raises: ValueError.
    """

    max_entries: int = 10_000
    ttl: timedelta = timedelta(seconds=60)

    def __post_init__(self) -> None:
        if self.max_entries < 1 or self.ttl <= timedelta(0):
            raise ValueError("A local level needs max_entries of 1 or more and a ttl above 0.")


class Reservation(NamedTuple):
    """Taken before a read is sent: the right to store its reply, unless the key changes meanwhile."""

    key: str
    mark: int
    at: float


class _Entry(Generic[T]):
    __slots__ = ("at", "fresh_until", "mark", "tagged", "used", "value")

    def __init__(self, value: T, mark: int, at: float, fresh_until: float, tagged: bool) -> None:
        self.value = value
        self.mark = mark
        self.at = at
        self.fresh_until = fresh_until
        self.tagged = tagged
        self.used = False


class LocalCache(Generic[T]):
    """Values of one cache, by the user's key, fresh as long as the feed of invalidations says nothing else.

    `get` gives the object that was stored, the same one to every caller: treat it as immutable, or what
    one changes all others see. A frozen model is best.

    What is heard and what is read are put in order by one counter. An entry carries the count at which
    its read was sent; an invalidation, a change of tags or a gap in the feed raises the count below
    which entries (and reads still on the way) no longer count. So a reply that is slower than its
    invalidation is never stored, and a gap makes everything unfresh at once, in constant time.

    Without `attach`, or while the feed is interrupted, nothing is fresh and nothing is stored. Not for
    threads: one event loop.
    """

    def __init__(self, options: Local | None = None, *, clock: Clock | None = None) -> None:
        options = options or Local()
        self._most = options.max_entries
        self._ceiling = options.ttl.total_seconds()
        self._now: Callable[[], float] = time.monotonic if clock is None else clock.monotonic
        self._entries: dict[str, _Entry[T]] = {}
        self._mark = 0
        # Entries read before these marks are not fresh. Infinite: the feed is interrupted.
        self._floor: float = math.inf
        self._tag_floor: float = math.inf
        self._tags_changed = 0  # tagged entries read before this mark count for nothing at all
        self._changed: dict[str, int] = {}  # the last keys that changed, in order, and their marks
        self._forgotten = 0  # the mark of the last one that is no longer among them
        self._trusted_until = math.inf
        self._feed: _Feed | None = None

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: str) -> T | Missing:
        """The value when it is known to be fresh, else MISSING. No round trip, never waits."""
        entry = self._entries.get(key)
        if entry is None or entry.mark < (self._tag_floor if entry.tagged else self._floor):
            return MISSING
        now = self._now()
        if now >= entry.fresh_until or now >= self._trusted_until:
            return MISSING
        entry.used = True
        return entry.value

    def reserve(self, key: str) -> Reservation:
        """Call it before the read is sent, and `store` with its reply. One that is not used costs nothing."""
        if self._feed is not None and not self._feed.watching:
            self._feed.watch()
        return Reservation(key, self._mark, self._now())

    def store(self, reservation: Reservation, value: T, *, fresh_for: float, tagged: bool) -> bool:
        """Keep what the read gave.

        Args:
            fresh_for: seconds for which it is fresh in Redis, counted from the reservation.
            tagged: it has tags, so a change of tags concerns it.

        Returns: False when it was not kept: something changed since the reservation, or the feed is
            interrupted. The value itself may be used once, by who read it.
        """
        key, mark, at = reservation
        if (
            fresh_for <= 0
            or mark < (self._tag_floor if tagged else self._floor)
            or mark < self._forgotten
            or mark < self._changed.get(key, 0)
        ):
            return False
        entries = self._entries
        if key not in entries and len(entries) >= self._most:
            self._make_room()
        entries[key] = _Entry(value, mark, at, at + min(fresh_for, self._ceiling), tagged)
        return True

    def last_good(self, key: str) -> tuple[T, float] | None:
        """The last value that was known to be good, and its age in seconds: also one that is no longer
        fresh, and while the feed is interrupted; never one that was changed or dropped since, as far as
        that was heard. For outages; the caller decides which age is too much."""
        entry = self._entries.get(key)
        if entry is None or (entry.tagged and entry.mark < self._tags_changed):
            return None
        return entry.value, self._now() - entry.at

    def drop(self, key: str) -> None:
        """The key was changed: forget its value, and let no read on the way bring the old one back."""
        self._entries.pop(key, None)
        changed = self._changed
        changed.pop(key, None)  # so that the order is that of the marks
        self._mark = changed[key] = self._mark + 1
        if len(changed) > _REMEMBERED:
            oldest = next(iter(changed))
            self._forgotten = changed.pop(oldest)

    def drop_tagged(self) -> None:
        """Tags were invalidated: what has tags must be read again. Constant time."""
        self._mark += 1
        self._tags_changed = self._mark
        self._tag_floor = max(self._tag_floor, self._mark)

    def clear(self) -> None:
        """Forget everything, and what is being read too."""
        self._entries.clear()
        self._changed.clear()
        self._mark += 1
        self._forgotten = self._mark

    def attach(self, invalidations: Invalidations, bases: Sequence[str]) -> None:
        """Follow the changes of a cache. No I/O: watching begins with the first `reserve`.

        Args:
            bases: the keys up to the kind, one per shard: `shop:v1:{cache:menu:0}`. Watched are
                `<base>:e:<key>` (entries) and `<base>:marks` (tags).

        Raises: ValueError when it follows something already.
        """
        if self._feed is not None:
            raise ValueError("This local level follows a cache already; detach it first.")
        self._feed = _Feed(self, invalidations, bases)

    def detach(self) -> None:
        """Follow no more; from now on nothing is fresh."""
        feed, self._feed = self._feed, None
        if feed is not None:
            feed.unwatch()
        self._distrust()

    def _trust(self, until: float) -> None:
        """Every change from now on is heard, at least until that time."""
        self._trusted_until = until
        if self._floor == math.inf:
            self._mark += 1
            self._floor = self._tag_floor = self._mark

    def _distrust(self) -> None:
        self._floor = self._tag_floor = math.inf

    def _make_room(self) -> None:
        """Evict the oldest entry that was not used since it was stored or last spared (second chance)."""
        entries = self._entries
        while True:
            key = next(iter(entries))
            entry = entries.pop(key)
            if not entry.used:
                return
            entry.used = False
            entries[key] = entry


class _Feed:
    """What one local level hears: a listener per watched prefix, fresh only when all of them hear."""

    def __init__(self, local: "LocalCache[T]", invalidations: Invalidations, bases: Sequence[str]) -> None:
        self._local = local
        self._invalidations = invalidations
        self.watching = False
        self._ears = [
            _Ear(f"{base}:{kind}", self, changed)
            for base in bases
            for kind, changed in (("e:", None), ("marks", local.drop_tagged))
        ]

    def watch(self) -> None:
        self.watching = True
        for ear in self._ears:
            self._invalidations.watch(ear.prefix, ear)

    def unwatch(self) -> None:
        if self.watching:
            for ear in self._ears:
                self._invalidations.unwatch(ear.prefix)

    def heard(self, ear: "_Ear", hears: bool) -> None:
        ear.hears = hears
        if not hears:
            self._local._distrust()
        elif all(each.hears for each in self._ears):
            self._local._trust(self._local._now() + self._invalidations.heartbeat)

    def drop(self, key: str) -> None:
        self._local.drop(key)

    def clear(self) -> None:
        self._local.clear()


class _Ear:
    """An InvalidationListener for one prefix."""

    def __init__(self, prefix: str, feed: _Feed, changed: Callable[[], None] | None) -> None:
        self.prefix = prefix
        self.hears = False
        self._length = len(prefix.encode())
        self._feed = feed
        self._changed = changed

    def invalidated(self, keys: Sequence[bytes] | None) -> None:
        if keys is None:
            self._feed.clear()
        elif self._changed is not None:
            self._changed()
        else:
            for key in keys:
                self._feed.drop(key[self._length :].decode(errors="replace"))

    def interrupted(self) -> None:
        self._feed.heard(self, False)

    def resumed(self) -> None:
        self._feed.heard(self, True)
