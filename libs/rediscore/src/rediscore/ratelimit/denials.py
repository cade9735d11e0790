"""Refusals that are certain to last, repeated without asking."""

from typing import Final

from rediscore.ratelimit.answer import RateLimit

_MOST: Final = 10_000


class Denials:
    """What was refused and for how long that is sure: nothing but a `reset` makes room before its time.

    Args:
        longest: seconds for which a refusal is repeated at most.
    """

    __slots__ = ("_kept", "_longest")

    def __init__(self, longest: float) -> None:
        self._longest = longest
        self._kept: dict[str, tuple[float, float, int, RateLimit]] = {}

    def __contains__(self, key: str) -> bool:
        return key in self._kept

    def get(self, key: str, cost: int, now: float) -> RateLimit | None:
        """The refusal of a call of the same cost, as it reads now."""
        until, begun, refused_cost, answer = self._kept[key]
        if now >= until:
            del self._kept[key]
            return None
        if cost != refused_cost:
            return None
        passed = now - begun
        return RateLimit(
            False,
            answer.policy,
            answer.limit,
            answer.remaining,
            answer.reset_after - passed,
            answer.retry_after - passed,
            answer.quotas,
        )

    def keep(self, key: str, cost: int, answer: RateLimit, begun: float) -> None:
        """Remember a refusal; `begun` is when it was asked for, so it is never repeated for too long."""
        self._kept.pop(key, None)
        if self._longest <= 0:
            return
        if len(self._kept) >= _MOST:
            del self._kept[next(iter(self._kept))]
        self._kept[key] = (begun + min(answer.retry_after, self._longest), begun, cost, answer)

    def forget(self, key: str) -> None:
        """It may be otherwise now."""
        self._kept.pop(key, None)
