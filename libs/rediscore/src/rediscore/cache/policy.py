"""How long values of a cache live and how long its callers wait."""

from dataclasses import dataclass
from datetime import timedelta
from random import Random
from typing import Self

FOR_EVER = 0
"""Milliseconds: no TTL."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The options of `Cache` in the units of the hot path: whole milliseconds, float seconds."""

    ttl_ms: int
    jitter: float
    negative_ms: int | None
    grace_ms: int
    throttle_ms: int
    early: float | None
    soft: float | None
    hard: float | None
    patience: float

    @classmethod
    def of(
        cls,
        *,
        ttl: timedelta,
        jitter: float,
        negative_ttl: timedelta | None,
        fail_safe: timedelta | None,
        fail_safe_throttle: timedelta,
        early_refresh: float | None,
        soft_timeout: timedelta | None,
        hard_timeout: timedelta | None,
        patience: timedelta,
    ) -> Self:
        """Raises: ValueError with a sentence for options that contradict each other."""
        if not 0 <= jitter < 1:
            raise ValueError("jitter is a share of the ttl: 0 or more, below 1.")
        if early_refresh is not None and not 0 < early_refresh < 1:
            raise ValueError("early_refresh is a share of the ttl: above 0, below 1.")
        if soft_timeout is not None and fail_safe is None:
            raise ValueError("After soft_timeout an old value is served, so it needs fail_safe.")
        if soft_timeout is not None and hard_timeout is not None and soft_timeout >= hard_timeout:
            raise ValueError("soft_timeout must be shorter than hard_timeout.")
        for name, value in (("soft_timeout", soft_timeout), ("hard_timeout", hard_timeout)):
            if value is not None and value <= timedelta(0):
                raise ValueError(f"{name} must be above 0.")
        if patience <= timedelta(0):
            raise ValueError("patience must be above 0.")
        if negative_ttl is not None and negative_ttl < timedelta(0):
            raise ValueError("negative_ttl is 0 (None is not kept) or more.")
        return cls(
            ttl_ms=milliseconds(ttl, "ttl"),
            jitter=jitter,
            negative_ms=None if negative_ttl is None else round(negative_ttl.total_seconds() * 1000),
            grace_ms=0 if fail_safe is None else milliseconds(fail_safe, "fail_safe"),
            throttle_ms=milliseconds(fail_safe_throttle, "fail_safe_throttle"),
            early=early_refresh,
            soft=None if soft_timeout is None else soft_timeout.total_seconds(),
            hard=None if hard_timeout is None else hard_timeout.total_seconds(),
            patience=patience.total_seconds(),
        )

    @property
    def bare(self) -> bool:
        """A value without tags is fresh as long as it is there, so a plain GET tells all."""
        return not self.grace_ms and self.early is None

    def jittered(self, ttl_ms: int, random: Random) -> int:
        """A TTL that is shorter by a random part, so that what was written together does not end together."""
        return max(1, round(ttl_ms * (1 - self.jitter * random.random()))) if self.jitter else ttl_ms


def milliseconds(duration: timedelta, name: str) -> int:
    """Whole milliseconds.

    Raises: ValueError below one millisecond.
    """
    ms = round(duration.total_seconds() * 1000)
    if ms < 1:
        raise ValueError(f"{name} must be at least a millisecond.")
    return ms
