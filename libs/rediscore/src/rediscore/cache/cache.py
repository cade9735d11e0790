"""The cache: values by key, computed when they are not there."""

import random as random_module
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from random import Random
from typing import Generic, TypeVar, cast, overload

from rediscore.breaker import CircuitBreaker
from rediscore.cache.decorator import cached
from rediscore.cache.encoding import Encoder
from rediscore.cache.entry import tag_members
from rediscore.cache.errors import NotANumber
from rediscore.cache.flights import Flights
from rediscore.cache.loading import Factory, Load, Loader
from rediscore.cache.local import MISSING, Local, LocalCache
from rediscore.cache.policy import FOR_EVER, Policy
from rediscore.cache.reading import AWAY, Reader, Seen
from rediscore.cache.storage import Storage
from rediscore.client import RedisConnections
from rediscore.clock import Clock
from rediscore.keys import KeySpace
from rediscore.metrics import Metrics, meter_of
from rediscore.pubsub import LiveChannels
from rediscore.serialisers import Serialiser, UnreadableValue, serialiser_for

T = TypeVar("T")
D = TypeVar("D")

_LARGEST = 2**53


class Cache(Generic[T]):
    """Values of one kind, by key, in Redis and (with `local`) in this process.

    Reading (`get`, `get_many`, `has`, `remember`) never fails because of Redis and waits for it for at
    most `patience`. Writing raises redis-py's errors when Redis is away for longer than the retries of
    the settings: who changed the source must know that readers may still see the old value.

    What was deleted, overwritten or invalidated by the time a call returned is not served to any call
    that begins later, in no process; a computation that began before cannot bring it back. With `local`
    that holds within this process; others follow when they hear of it (see `LocalCache`).

    None is a value like any other. One object may be given to several callers: treat values as immutable.
    Every verb is one round trip per shard unless it says otherwise, and is safe to send twice.

    Args:
        name: of the cache, unique within `keys`.
        model: type of the values, checked when written and read (`serialiser_for`).
        ttl: how long a value is fresh, unless a verb says otherwise.
        jitter: share of the TTL by which it is shortened at random, so that what was written together
            does not end together.
        negative_ttl: TTL of None where none is given; 0: `remember` does not keep None.
        fail_safe: how long a value that is no longer fresh is kept, to be served when the factory fails,
            takes longer than `soft_timeout`, or (from `local`) when Redis is away.
        fail_safe_throttle: how long nobody tries again after the factory failed, in no process.
        early_refresh: share of the TTL after which the first reader lets it be computed anew, in the
            background.
        soft_timeout: how long a caller waits for the factory while there is an old value.
        hard_timeout: longest that a factory runs and a caller waits for it; None: no bound.
        patience: longest that a reader waits for Redis.
        local: keep values in this process as well; they are dropped when anybody changes them.
        shards: hash slots over which a cluster spreads the keys. Never change it without a new name.
        breaker: is asked before Redis is, so that an outage costs no patience.

    Raises: ValueError for options that contradict each other.
    """

    def __init__(
        self,
        connections: RedisConnections,
        name: str,
        model: type[T] | None = None,
        *,
        keys: KeySpace,
        ttl: timedelta,
        serialiser: Serialiser[T] | None = None,
        jitter: float = 0.0,
        negative_ttl: timedelta | None = None,
        fail_safe: timedelta | None = None,
        fail_safe_throttle: timedelta = timedelta(seconds=10),
        early_refresh: float | None = None,
        soft_timeout: timedelta | None = None,
        hard_timeout: timedelta | None = None,
        patience: timedelta = timedelta(milliseconds=250),
        local: Local | None = None,
        shards: int = 1,
        breaker: CircuitBreaker | None = None,
        metrics: Metrics | None = None,
        clock: Clock | None = None,
        random: Random | None = None,
    ) -> None:
        if model is not None and serialiser is not None:
            raise ValueError("Give a model or a serialiser, not both: a serialiser knows its type.")
        self.name = name
        policy = self._policy = Policy.of(
            ttl=ttl,
            jitter=jitter,
            negative_ttl=negative_ttl,
            fail_safe=fail_safe,
            fail_safe_throttle=fail_safe_throttle,
            early_refresh=early_refresh,
            soft_timeout=soft_timeout,
            hard_timeout=hard_timeout,
            patience=patience,
        )
        longest = policy.ttl_ms + policy.grace_ms
        self._storage = Storage(connections, name, keys, shards=shards, longest_ms=longest)
        self._serialiser = serialiser or cast("Serialiser[T]", serialiser_for(model))
        self._local: LocalCache[T] | None = None
        if local is not None:
            self._local = LocalCache(local, clock=clock)
            self._local.attach(connections.invalidations, self._storage.bases)
        meter = meter_of(metrics, "cache", name)
        self._counts = meter.counts
        self._encode = Encoder(
            self._serialiser, policy, random or cast("Random", random_module), self._storage.note_ttl
        )
        self._reader: Reader[T] = Reader(
            self._storage,
            self._serialiser,
            policy,
            local=self._local,
            breaker=breaker,
            meter=meter,
            name=name,
        )
        self._channels = LiveChannels(connections)
        loader = Loader(self._storage, self._reader, self._encode, policy, self._channels, meter)
        self._flights: Flights[T] = Flights(self._reader, loader, policy, meter=meter, name=name)

    @overload
    async def get(self, key: str) -> T | None: ...

    @overload
    async def get(self, key: str, default: D) -> T | D: ...

    async def get(self, key: str, default: D | None = None) -> T | D | None:
        """The fresh value, or `default`; when Redis is away, the last one read here within `fail_safe`.

        No round trip when it is in this process.
        """
        if self._local is not None:
            value = self._local.get(key)
            if value is not MISSING:
                self._counts["local_hit"] += 1
                return value
        seen = await self._reader.look(key)
        if isinstance(seen, Seen) and seen.fresh:
            self._counts["hit"] += 1
            return seen.value
        if seen is AWAY and (kept := self._reader.last_good(key)) is not None:
            self._counts["stale"] += 1
            return kept[0]
        self._counts["miss"] += 1
        return default

    async def get_many(self, keys: Iterable[str]) -> dict[str, T]:
        """The fresh values there are. One round trip per shard (and 500 keys), in parallel."""
        wanted = dict.fromkeys(keys)
        values: dict[str, T] = {}
        if self._local is not None:
            for key in list(wanted):
                value = self._local.get(key)
                if value is not MISSING:
                    values[key] = value
                    del wanted[key]
            self._counts["local_hit"] += len(values)
        if wanted:
            found = await self._reader.look_many(wanted)
            self._counts["hit"] += len(found)
            self._counts["miss"] += len(wanted) - len(found)
            values |= found
        return values

    async def has(self, key: str) -> bool:
        """Whether there is a fresh value."""
        if self._local is not None and self._local.get(key) is not MISSING:
            return True
        seen = await self._reader.look(key)
        return isinstance(seen, Seen) and seen.fresh

    async def remember(
        self, key: str, factory: Factory[T], *, ttl: timedelta | None = None, tags: Sequence[str] = ()
    ) -> T:
        """The value; when there is none, the one that `factory()` gives, stored for the next.

        However many ask at once, here and in other processes, one calls the factory; its lease in Redis
        is renewed while it runs and taken over 1.8 s after its process died. A caller that is cancelled
        leaves the others their value; when all are, the factory is cancelled. An error of the factory goes
        to everybody who waits here, and is not kept.

        Args:
            factory: gives the value or an awaitable of it; runs in the event loop, so wrap what blocks:
                `lambda: asyncio.to_thread(read, key)`.

        One round trip for a hit, three for a miss (read, lease, fill).

        Raises: whatever the factory raises, when there is no old value to serve; LoadTimeout after
            `hard_timeout`; LoadCancelled when the cache is closed; TypeError when the value cannot be
            written.
        """
        if self._local is not None:
            value = self._local.get(key)
            if value is not MISSING:
                self._counts["local_hit"] += 1
                return value
        if tags:
            self._reader.expect_tags()
        return await self._flights.remember(Load(key, factory, ttl, tags))

    async def set(
        self, key: str, value: T, *, ttl: timedelta | None = None, tags: Sequence[str] = ()
    ) -> None:
        """Write the value; computations of it that are under way are void."""
        members = self._tags(tags)
        entry, keep_ms = self._encode(value, self._encode.ttl_ms(ttl), members)
        try:
            if members:
                await self._storage.write_many({key: (entry, keep_ms)})
            else:
                await self._storage.put(key, entry, keep_ms)
        finally:
            self._changed(key)

    async def set_many(
        self, values: Mapping[str, T], *, ttl: timedelta | None = None, tags: Sequence[str] = ()
    ) -> None:
        """Write values. One round trip per shard (and 500 keys), in parallel; each of them is atomic."""
        members, ttl_ms = self._tags(tags), self._encode.ttl_ms(ttl)
        entries = {key: self._encode(value, ttl_ms, members) for key, value in values.items()}
        try:
            await self._storage.write_many(entries)
        finally:
            self._changed(*values)

    async def forever(self, key: str, value: T, *, tags: Sequence[str] = ()) -> None:
        """Write a value without TTL. Tags of such values are never forgotten (up to 100,000 per shard)."""
        members = self._tags(tags)
        self._storage.note_ttl(FOR_EVER)
        entry, _ = self._encode(value, FOR_EVER, members)
        try:
            await self._storage.write_many({key: (entry, FOR_EVER)})
        finally:
            self._changed(key)

    async def add(
        self, key: str, value: T, *, ttl: timedelta | None = None, tags: Sequence[str] = ()
    ) -> bool:
        """Write the value if there is no fresh one. Returns: whether this call did."""
        entry, keep_ms = self._encode(value, self._encode.ttl_ms(ttl), self._tags(tags))
        try:
            return await self._storage.add(key, entry, keep_ms)
        finally:
            self._changed(key)

    @overload
    async def pull(self, key: str) -> T | None: ...

    @overload
    async def pull(self, key: str, default: D) -> T | D: ...

    async def pull(self, key: str, default: D | None = None) -> T | D | None:
        """Take the fresh value out, or give `default`. Of several callers at once one gets it."""
        try:
            entry = await self._storage.pull(key)
        finally:
            self._changed(key)
        if entry is None:
            self._counts["miss"] += 1
            return default
        try:
            value = self._reader.decode(entry)
        except UnreadableValue:
            self._counts["unreadable"] += 1
            return default
        self._counts["hit"] += 1
        return value

    async def increment(self, key: str, by: int = 1, *, ttl: timedelta | None = None) -> int:
        """Add to a whole number, whose TTL stays; where there is none, begin with `by`.

        For caches of `int` whose serialiser writes numbers as text: `Json`, `Pydantic(int)`.

        Raises: NotANumber when something else lies there, or from 2^53 on; ValueError when the serialiser
            writes numbers otherwise.
        """
        entry, keep_ms = self._encode(cast("T", by), self._encode.ttl_ms(ttl))
        if not entry.endswith(str(by).encode()):
            raise ValueError(f"{type(self._serialiser).__name__} does not write numbers as text; use Json().")
        if abs(by) >= _LARGEST:
            raise NotANumber(f"{by} is 2^53 or more: a script cannot add it exactly.")
        try:
            number = await self._storage.increment(key, by, entry, keep_ms)
        finally:
            self._changed(key)
        if isinstance(number, bytes):
            raise NotANumber(f"Cannot add to {key!r} of cache {self.name}: {number.decode()}.")
        return number

    async def decrement(self, key: str, by: int = 1, *, ttl: timedelta | None = None) -> int:
        """As `increment`, downwards; also below 0."""
        return await self.increment(key, -by, ttl=ttl)

    async def touch(self, key: str, *, ttl: timedelta | None = None) -> bool:
        """Let a fresh value live for a full TTL from now. Returns: whether there is one."""
        ttl_ms = self._encode.ttl_ms(ttl)
        return await self._storage.touch(key, self._policy.ttl_ms if ttl_ms is None else ttl_ms)

    async def delete(self, *keys: str) -> None:
        """Delete values; computations of them that are under way are void."""
        try:
            if keys:
                await self._storage.remove(keys)
        finally:
            self._changed(*keys)

    async def delete_prefix(self, prefix: str) -> None:
        """Delete every value whose key begins so; void computations. SCANs all keys of the server, once per
        shard: for maintenance. On the way use tags."""
        try:
            await self._storage.remove_prefix(prefix)
        finally:
            self._flights.detach_all()
            if self._local is not None:
                self._local.clear()

    async def clear(self) -> None:
        """Delete every value of this cache, and nothing else. SCANs all keys of the server, once per shard.

        It is done when it returns, also when values are written and computed meanwhile.
        """
        await self.delete_prefix("")

    async def invalidate_tags(self, *tags: str) -> None:
        """Values with one of these tags do not count any more, nor do computations of them that have begun.

        Costs the same however many there are. One round trip per shard, in parallel.
        """
        members = tag_members(tags, most=None)
        self._reader.expect_tags()
        try:
            await self._storage.invalidate(members)
        finally:
            if self._local is not None:
                self._local.drop_tagged()

    cached = cached

    async def aclose(self) -> None:
        """Cancel computations that are under way, and stop listening. The connections stay open."""
        await self._flights.aclose()
        await self._channels.aclose()
        if self._local is not None:
            self._local.detach()

    def _changed(self, *keys: str) -> None:
        # After Redis has it: a read that was sent before may not bring the old value back. Also after an
        # error: Redis may have it all the same.
        for key in keys:
            self._flights.detach(key)
            if self._local is not None:
                self._local.drop(key)

    def _tags(self, tags: Sequence[str]) -> Sequence[bytes]:
        if not tags:
            return ()
        self._reader.expect_tags()
        return tag_members(tags)
