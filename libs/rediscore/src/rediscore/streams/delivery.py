"""How an event came to the handler that has it in hand."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_SENT_AGAIN: ContextVar[bool] = ContextVar("rediscore-sent-again", default=False)


def sent_again() -> bool:
    """Whether the running handler has in hand a dead letter that an operator sent again.

    For an inbox that refuses what it has given up on, however often the stream brings it.
    """
    return _SENT_AGAIN.get()


@contextmanager
def sending_again() -> Iterator[None]:
    """Say so to what is called inside."""
    token = _SENT_AGAIN.set(True)
    try:
        yield
    finally:
        _SENT_AGAIN.reset(token)
