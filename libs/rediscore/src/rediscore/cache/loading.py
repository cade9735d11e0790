"""Compute a value once, in this process and in all the others."""

import asyncio
import contextlib
import inspect
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Final, Generic, TypeVar, cast

from rediscore.cache.encoding import Encoder
from rediscore.cache.entry import new_token, tag_members
from rediscore.cache.errors import LoadTimeout
from rediscore.cache.flight import Flight, moment
from rediscore.cache.policy import Policy
from rediscore.cache.reading import TROUBLE, Reader
from rediscore.cache.storage import Storage
from rediscore.cache.waiting import FillWatch
from rediscore.metrics import Meter
from rediscore.pubsub import LiveChannels
from rediscore.serialisers import UnreadableValue

T = TypeVar("T")

Factory = Callable[[], Awaitable[T] | T]

LEASE_MS: Final = 1800
"""Longest that a loader which died is waited for; one that lives renews its lease."""
_RENEWALS: Final = 4  # per lease
_NEVER_EARLY: Final = 1.0


class Load(Generic[T]):
    """One computation that somebody asked for."""

    __slots__ = ("away", "bad", "early", "factory", "key", "tags", "ttl")

    def __init__(self, key: str, factory: Factory[T], ttl: timedelta | None, tags: Sequence[str]) -> None:
        self.key = key
        self.factory = factory
        self.ttl = ttl
        self.tags = tags
        self.bad = b""
        """What lies in Redis and cannot be read: it counts as absent."""
        self.early = _NEVER_EARLY
        """Share of the TTL after which a fresh value is computed anew."""
        self.away = False
        """Redis did not answer: go on without it."""


class Loader(Generic[T]):
    """Runs one computation: asks for the lease in Redis, waits for another's, or goes on without Redis."""

    def __init__(
        self,
        storage: Storage,
        reader: Reader[T],
        encode: Encoder[T],
        policy: Policy,
        channels: LiveChannels,
        meter: Meter,
    ) -> None:
        self._storage = storage
        self._reader = reader
        self._encode = encode
        self._policy = policy
        self._channels = channels
        self._meter = meter

    async def run(self, flight: Flight[T], load: Load[T]) -> T:
        """The value, by whoever computed it.

        Raises: what the factory raises; LoadTimeout after `hard_timeout`.
        """
        token = new_token()
        try:
            async with asyncio.timeout(self._policy.hard) as limit:
                return await self._obtain(flight, load, token)
        except BaseException as error:
            pause = self._policy.throttle_ms if isinstance(error, Exception) else 0
            # Also when cancelled: the reply that grants the lease may have been on the wire.
            if not load.away:
                with contextlib.suppress(*TROUBLE):
                    await self._reader.bounded(lambda: self._storage.release(load.key, token, pause))
            if isinstance(error, TimeoutError) and limit.expired():
                raise LoadTimeout(
                    f"No value within {self._policy.hard} s, and no old one to serve."
                ) from None
            raise

    async def _obtain(self, flight: Flight[T], load: Load[T], token: bytes) -> T:
        early, key = load.early, load.key
        ttl_ms, tags = self._encode.ttl_ms(load.ttl), tag_members(load.tags)
        async with AsyncExitStack() as stack:
            watch: FillWatch | None = None
            while not load.away:
                flight.began = moment()
                bad = load.bad
                try:
                    kind, entry, ms, *began = await self._reader.bounded(
                        lambda bad=bad: self._storage.fetch(  # type: ignore[misc]
                            key, token, lease_ms=LEASE_MS, early=early, bad=bad, tagged=bool(tags)
                        )
                    )
                except TROUBLE:
                    load.away = True
                    break
                if kind == b"wait":
                    if watch is None:
                        self._meter.counts["waited"] += 1
                        watch = FillWatch(self._channels, self._storage.channel(key))
                        await stack.enter_async_context(watch)
                    else:
                        await watch.wait(ms / 1000)
                    continue
                if kind in (b"hit", b"busy"):
                    try:
                        value = self._reader.decode(entry)
                    except UnreadableValue:
                        self._meter.counts["unreadable"] += 1
                        load.bad = entry
                        continue
                    if ms <= 0:
                        self._meter.counts["stale"] += 1
                    return value
                await stack.aclose()
                value = await self._compute(flight, load, token)
                sent = moment()
                if await self._store(key, value, ttl_ms, tags, token, *began):
                    flight.began = sent
                return value
        return await self._call(flight, load)

    async def _compute(self, flight: Flight[T], load: Load[T], token: bytes) -> T:
        renewal = asyncio.create_task(self._renew(load.key, token), name="cache-renew")
        try:
            return await self._call(flight, load)
        finally:
            renewal.cancel()
            await asyncio.wait({renewal})

    async def _store(
        self,
        key: str,
        value: T,
        ttl_ms: int | None,
        tags: Sequence[bytes],
        token: bytes,
        base: int,
        seq: int,
    ) -> bool:
        """Whether it is known to be stored: then it was not outdated when that was asked for."""
        with contextlib.suppress(*TROUBLE):
            if value is None and self._policy.negative_ms == 0:
                await self._reader.bounded(lambda: self._storage.release(key, token, 0))
                return False
            entry, keep_ms = self._encode(value, ttl_ms, tags, base, seq)
            return await self._reader.bounded(lambda: self._storage.fill(key, token, entry, keep_ms))
        return False

    async def _call(self, flight: Flight[T], load: Load[T]) -> T:
        self._meter.counts["computed"] += 1
        begun = time.perf_counter()
        flight.began = moment()
        try:
            value = load.factory()
            if inspect.isawaitable(value):
                value = await value
        finally:
            self._meter.timings["compute"].observe(time.perf_counter() - begun)
        return cast("T", value)

    async def _renew(self, key: str, token: bytes) -> None:
        held = True
        while held:
            await asyncio.sleep(LEASE_MS / 1000 / _RENEWALS)
            with contextlib.suppress(*TROUBLE):
                held = await self._reader.bounded(lambda: self._storage.renew(key, token, LEASE_MS))
