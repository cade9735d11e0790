"""The entries of one cache in Redis: its keys, its shards, its scripts."""

import asyncio
from collections.abc import Awaitable, Iterable, Sequence
from typing import Any, Final, NamedTuple, TypeVar
from zlib import crc32

from rediscore.client import RedisConnections
from rediscore.keys import KeySpace
from rediscore.requests import request_id
from rediscore.retry import TRANSIENT
from rediscore.scripts import Argument, Script

_SLICE: Final = 500
"""Keys per script: a server does nothing else while one runs."""
_MOST_MARKS: Final = 100_000
_TAGS: Final = 500

T = TypeVar("T")


def _load(name: str) -> Script:
    return Script.load("rediscore.cache", f"lua/{name}.lua")


class Found(NamedTuple):
    """What a script says about one entry."""

    entry: bytes
    fresh_ms: int
    busy_ms: int


class Storage:
    """Verbs on bytes. They raise redis-py's errors; what they send is safe to send twice.

    Args:
        shards: over how many hash slots the keys are spread.
        longest_ms: that a value lives, unless `note_ttl` says otherwise.
    """

    def __init__(
        self, connections: RedisConnections, name: str, keys: KeySpace, *, shards: int, longest_ms: int
    ) -> None:
        if shards < 1:
            raise ValueError("A cache has at least one shard.")
        self._connections = connections
        self.bases = [keys.key(tag=f"cache:{name}:{shard}") for shard in range(shards)]
        self._prefixes = [f"{base}:e:" for base in self.bases]
        self._single = self._prefixes[0] if shards == 1 else None
        self._retention = longest_ms

    def _shard(self, key: str) -> int:
        return crc32(key.encode()) % len(self.bases) if self._single is None else 0

    def entry_key(self, key: str) -> str:
        """Where the entry lies."""
        if self._single is not None:
            return self._single + key
        return self._prefixes[self._shard(key)] + key

    def channel(self, key: str) -> str:
        """Where those are told who wait for the entry."""
        return f"{self.bases[self._shard(key)]}:w:{key}"

    def _keys(self, key: str, *kinds: str) -> list[str]:
        """Of the entry, its marks, and whatever else."""
        base = self.bases[self._shard(key)]
        return [f"{base}:e:{key}", f"{base}:marks", *(f"{base}:{kind}" for kind in kinds)]

    def note_ttl(self, ttl_ms: int) -> None:
        """A value is going to live for so long (0 = for ever): marks of tags are kept as long."""
        if self._retention and (ttl_ms == 0 or ttl_ms > self._retention):
            self._retention = ttl_ms

    def get(self, key: str) -> Awaitable[bytes | None]:
        """The bytes, whatever they are. One round trip of a plain GET."""
        return self._connections.execute("GET", self.entry_key(key), idempotent=True)

    async def read(self, key: str) -> Found | None:
        """The entry if it counts, fresh or not. One round trip."""
        script, keys = _GET, self._keys(key)
        try:
            entry, fresh_ms, busy_ms = await script(self._connections, keys=keys)
        except TRANSIENT:
            entry, fresh_ms, busy_ms = await script(self._connections, keys=keys, idempotent=True)
        return None if entry is None else Found(entry, fresh_ms, busy_ms)

    async def read_many(self, keys: Iterable[str]) -> dict[str, Found]:
        """Those that count. One round trip per 500 keys of a shard, in parallel."""

        async def ask(shard: int, part: Sequence[str]) -> list[Any]:
            base = self.bases[shard]
            names = [*(f"{base}:e:{key}" for key in part), f"{base}:marks"]
            reply: list[Any] = await _GET(self._connections, keys=names, idempotent=True)
            return reply

        found: dict[str, Found] = {}
        parts = list(self._parts(keys))
        for (_, part), reply in zip(parts, await _all(ask(*one) for one in parts), strict=True):
            for at, key in enumerate(part):
                entry, fresh_ms, busy_ms = reply[3 * at : 3 * at + 3]
                if entry is not None:
                    found[key] = Found(entry, fresh_ms, busy_ms)
        return found

    async def put(self, key: str, entry: bytes, ttl_ms: int) -> None:
        """Write an entry without tags: a plain SET voids a lease on the key by overwriting it."""
        expiry: tuple[Argument, ...] = ("PX", ttl_ms) if ttl_ms else ()
        await self._connections.execute("SET", self.entry_key(key), entry, *expiry, idempotent=True)

    async def write_many(self, entries: dict[str, tuple[bytes, int]]) -> None:
        """Write entries (bytes, ms), with or without tags. One round trip per 500 keys of a shard."""

        async def write(shard: int, part: Sequence[str]) -> None:
            base = self.bases[shard]
            names = [*(f"{base}:e:{key}" for key in part), f"{base}:marks"]
            args: list[Argument] = [self._retention]
            for key in part:
                args += entries[key]
            await _SET(self._connections, keys=names, args=args, idempotent=True)

        await _all(write(*one) for one in self._parts(entries))

    async def remove(self, keys: Iterable[str]) -> None:
        """Delete entries and void leases. One round trip per 500 keys of a shard."""

        async def unlink(shard: int, part: Sequence[str]) -> None:
            prefix = self._prefixes[shard]
            await self._connections.execute("UNLINK", *(prefix + key for key in part), idempotent=True)

        await _all(unlink(*one) for one in self._parts(keys))

    async def fetch(
        self, key: str, token: bytes, *, lease_ms: int, early: float, bad: bytes, tagged: bool
    ) -> list[Any]:
        """See `lua/fetch.lua`."""
        args = (token, lease_ms, early, bad, int(tagged), self._retention)
        reply: list[Any] = await self._script(_FETCH, self._keys(key), *args)
        return reply

    async def fill(self, key: str, token: bytes, entry: bytes, ttl_ms: int) -> bool:
        """See `lua/fill.lua`."""
        args = (token, entry, ttl_ms, self.channel(key))
        return bool(await self._script(_FILL, self._keys(key), *args))

    async def renew(self, key: str, token: bytes, lease_ms: int) -> bool:
        """See `lua/renew.lua`."""
        return bool(await self._script(_RENEW, [self.entry_key(key)], token, lease_ms))

    async def release(self, key: str, token: bytes, pause_ms: int) -> None:
        """See `lua/release.lua`."""
        await self._script(_RELEASE, [self.entry_key(key)], token, pause_ms, self.channel(key))

    async def add(self, key: str, entry: bytes, ttl_ms: int) -> bool:
        """See `lua/add.lua`."""
        args = (self._repeat_ms, entry, ttl_ms, self._retention)
        return bool(await self._script(_ADD, self._once(key), *args))

    async def pull(self, key: str) -> bytes | None:
        """See `lua/pull.lua`."""
        reply = await self._script(_PULL, self._once(key), self._repeat_ms)
        return reply[0] if reply else None

    async def increment(self, key: str, by: int, first: bytes, ttl_ms: int) -> int | bytes:
        """See `lua/increment.lua`."""
        args = (self._repeat_ms, by, first, ttl_ms)
        reply: int | bytes = await self._script(_INCREMENT, self._once(key), *args)
        return reply

    async def touch(self, key: str, ttl_ms: int) -> bool:
        """See `lua/touch.lua`."""
        return bool(await self._script(_TOUCH, self._keys(key), ttl_ms))

    async def invalidate(self, members: Sequence[bytes]) -> None:
        """See `lua/invalidate.lua`. One round trip per shard (and 500 tags), in parallel."""
        for at in range(0, len(members), _TAGS):
            args: list[Argument] = [self._retention, _MOST_MARKS, *members[at : at + _TAGS]]
            await _all(self._script(_INVALIDATE, [f"{base}:marks"], *args) for base in self.bases)

    async def remove_prefix(self, prefix: str) -> None:
        """Delete every entry, and void every lease, whose key begins so.

        A lease lies under the key of its entry. So a key with a computation that is under way is there all
        the time, and SCAN does not miss it.
        """
        for start in self._prefixes:
            names: list[bytes] = []
            async for name in self._connections.scan_keys(_escaped(start + prefix) + "*", count=1000):
                names.append(name)
                if len(names) == _SLICE:
                    await self._connections.execute("UNLINK", *names, idempotent=True)
                    names.clear()
            if names:
                await self._connections.execute("UNLINK", *names, idempotent=True)

    def _once(self, key: str) -> list[str]:
        return self._keys(key, f"once:{request_id()}")

    @property
    def _repeat_ms(self) -> int:
        return self._connections.settings.repeat_ms

    async def _script(self, script: Script, keys: Sequence[str], *args: Argument) -> Any:
        return await script(self._connections, keys=keys, args=args, idempotent=True)

    def _parts(self, keys: Iterable[str]) -> Iterable[tuple[int, Sequence[str]]]:
        """Keys by shard, in slices."""
        by_shard: dict[int, list[str]] = {}
        for key in keys:
            by_shard.setdefault(self._shard(key), []).append(key)
        for shard, part in by_shard.items():
            for at in range(0, len(part), _SLICE):
                yield shard, part[at : at + _SLICE]


def _escaped(text: str) -> str:
    """A glob pattern that matches this text and nothing else."""
    return "".join(f"\\{c}" if c in "*?[]\\" else c for c in text)


async def _all(requests: Iterable[Awaitable[T]]) -> list[T]:
    """Side by side; all have ended when the first error is raised."""
    waiting = list(requests)
    if len(waiting) == 1:
        return [await waiting[0]]
    done = await asyncio.gather(*waiting, return_exceptions=True)
    for one in done:
        if isinstance(one, BaseException):
            raise one
    return [one for one in done if not isinstance(one, BaseException)]


_GET, _SET, _FETCH, _FILL = _load("get"), _load("set"), _load("fetch"), _load("fill")
_RENEW, _RELEASE, _ADD, _PULL = _load("renew"), _load("release"), _load("add"), _load("pull")
_INCREMENT, _TOUCH, _INVALIDATE = _load("increment"), _load("touch"), _load("invalidate")
