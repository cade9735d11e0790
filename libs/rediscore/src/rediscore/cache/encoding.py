"""Values to entries."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from random import Random
from typing import Generic, TypeVar

from rediscore.cache.entry import extended, plain
from rediscore.cache.policy import Policy, milliseconds
from rediscore.serialisers import Serialiser

T = TypeVar("T")


class Encoder(Generic[T]):
    """Values to entries, by the policy of the cache."""

    def __init__(
        self, serialiser: Serialiser[T], policy: Policy, random: Random, note_ttl: Callable[[int], None]
    ) -> None:
        self._serialiser = serialiser
        self._policy = policy
        self._random = random
        self._note_ttl = note_ttl

    def ttl_ms(self, ttl: timedelta | None) -> int | None:
        """The TTL that a caller gave; None: that of the cache."""
        if ttl is None:
            return None
        ttl_ms = milliseconds(ttl, "ttl")
        self._note_ttl(ttl_ms + self._policy.grace_ms)
        return ttl_ms

    def __call__(
        self, value: T, ttl_ms: int | None, tags: Sequence[bytes] = (), base: int = 0, seq: int = 0
    ) -> tuple[bytes, int]:
        """The entry and the ms to keep it (0 = for ever).

        Raises: TypeError or ValueError of the serialiser.
        """
        policy = self._policy
        if ttl_ms is None:
            ttl_ms = policy.ttl_ms
            if value is None and policy.negative_ms:
                ttl_ms = policy.negative_ms
        payload = None if value is None else self._serialiser.dumps(value)
        grace = 0
        if ttl_ms:
            ttl_ms = policy.jittered(ttl_ms, self._random)
            grace = policy.grace_ms
        if tags or not policy.bare:
            entry = extended(payload, ttl_ms=ttl_ms, grace_ms=grace, tags=tags, base=base, seq=seq)
        else:
            entry = plain(payload)
        return entry, ttl_ms + grace
