"""What a rate limiter says."""

from datetime import timedelta
from typing import NamedTuple


class Quota(NamedTuple):
    """One limit as it stands after the call.

    Attributes:
        policy: its name.
        limit: units there are when nothing was used for `window`.
        remaining: units that are left now.
        reset_after: seconds until all are there again.
        retry_after: seconds until the cost that was asked for fits; 0 when it fitted.
    """

    policy: str
    limit: int
    window: timedelta
    remaining: int
    reset_after: float
    retry_after: float


class RateLimit(NamedTuple):
    """The answer to one call.

    Attributes:
        allowed: whether it may go on. One that may not has used nothing.
        policy: the limit that decides: the one with the longest wait, else the one with the least left.
        limit, remaining, reset_after, retry_after: of that limit, see `Quota`. A retry after
            `retry_after` seconds is admitted, unless others were faster.
        quotas: all limits; empty when the answer is `unknown`.
        unknown: Redis did not answer, so `allowed` is what the limiter was told to say then.
    """

    allowed: bool
    policy: str
    limit: int
    remaining: int
    reset_after: float
    retry_after: float
    quotas: tuple[Quota, ...]
    unknown: bool = False

    @staticmethod
    def of(allowed: bool, quotas: tuple[Quota, ...]) -> "RateLimit":
        """The answer that these limits give together."""
        deciding = quotas[0]
        if len(quotas) > 1:
            deciding = min(
                quotas, key=lambda quota: (-quota.retry_after, quota.remaining, -quota.reset_after)
            )
        return RateLimit(
            allowed,
            deciding.policy,
            deciding.limit,
            deciding.remaining,
            deciding.reset_after,
            deciding.retry_after,
            quotas,
        )
