"""What a rate limiter raises by itself."""

from typing import TYPE_CHECKING

from rediscore.errors import RediscoreError

if TYPE_CHECKING:
    from rediscore.ratelimit.answer import RateLimit


class CostAboveLimit(RediscoreError, ValueError):  # noqa: N818
    """The call costs more than the limit ever allows, so waiting is no help: split it or raise the limit."""


class RateLimitExceeded(RediscoreError):  # noqa: N818
    """The limit leaves no room within the time the caller would wait.

    Attributes:
        answer: what the limiter said last, with `retry_after`.
    """

    def __init__(self, answer: "RateLimit") -> None:
        super().__init__(f"Rate limit {answer.policy} is used up; try again in {answer.retry_after:.1f} s.")
        self.answer = answer
