"""What a handler may raise to say how its event shall be treated, and what the streams raise themselves."""

from rediscore.errors import RediscoreError


class Reject(RediscoreError):  # noqa: N818  an instruction, not a fault
    """Raised by a handler: this event can never be handled; write the dead letter at once."""


class Postpone(RediscoreError):  # noqa: N818  an instruction, not a fault
    """Raised by a handler: not the event's fault (database away, dependency down); try it again later.

    Does not count as an attempt, so an outage never turns good events into dead letters. The events
    of the same subject wait behind it.

    Args:
        reason: a sentence for the log.
        delay: seconds until the next try; default: the backoff of the retry policy.
    """

    def __init__(self, reason: str, *, delay: float | None = None) -> None:
        super().__init__(reason)
        self.delay = delay


class MalformedEntry(RediscoreError):  # noqa: N818  named by what it is
    """A stream entry that holds no CloudEvent; the message says where it departs, never what it holds."""


class NotActive(RediscoreError):  # noqa: N818  named by the state
    """This instance is not (or no longer) the reader of that partition; the one that is shall do it."""
