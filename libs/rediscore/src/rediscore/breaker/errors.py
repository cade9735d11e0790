"""What a breaker raises by itself."""

from rediscore.errors import RediscoreError


class CircuitOpen(RediscoreError):  # noqa: N818  named by what happened, as the pattern does
    """The call was not made: the circuit is open, or half-open with all its probes in flight.

    Attributes:
        name: of the breaker.
        retry_after: seconds after which a call may be let through; 0 when nobody knows.
    """

    def __init__(self, name: str, retry_after: float) -> None:
        when = f"in {max(retry_after, 0.1):.1f} s" if retry_after else "later"
        super().__init__(f"Circuit {name} is open; ask again {when} or use a fallback.")
        self.name = name
        self.retry_after = retry_after
