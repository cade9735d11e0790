"""What every serialiser does."""

from typing import Protocol, TypeVar

from rediscore.errors import RediscoreError

T = TypeVar("T")


class UnreadableValue(RediscoreError):  # noqa: N818  named by what happened
    """These bytes are not a value of this serialiser: treat it as absent, and write it anew."""


class Serialiser(Protocol[T]):
    """Values to bytes and back, for what lies in Redis. Keeps nothing between calls: share it freely."""

    def dumps(self, value: T) -> bytes:
        """The value as bytes.

        Raises: TypeError or ValueError when it could not be read back as an equal value.
        """
        ...

    def loads(self, data: bytes) -> T:
        """The value that `dumps` was given, or one equal to it.

        Raises: UnreadableValue for anything else: truncated, foreign, of another layout, wrongly signed.
        """
        ...
